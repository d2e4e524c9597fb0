import { rmSync } from 'node:fs';
import { exposeCheckout } from './checkout.ts';
import { RUN_DIRECTORY } from './secrets.ts';

/** Each run begins with an empty folder of artifacts; what the search at its end finds is of this run. */
export default function setup(): () => void {
  rmSync(RUN_DIRECTORY, { recursive: true, force: true });
  return exposeCheckout();
}
