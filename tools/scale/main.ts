/** Prints the tables of docs/scale.md, or measures: `node tools/scale/main.ts measure [RESOLVERS [CREDENTIALS]]`, as root. */
import { enterOwnNamespaces } from '../../test/support/own-namespaces.ts';
import { measure } from './measure.ts';
import { tables } from './page.ts';

const [command, ...numbers] = process.argv.slice(2);
if (command === undefined) console.log(tables());
else if (command === 'measure') {
  // A resolver checks every process that it can see: those of the machine are not a pod's.
  enterOwnNamespaces('--pid', '--fork', '--kill-child', '--mount-proc');
  await measure(...numbers.map(Number));
} else throw new Error(`unknown command: ${command}`);
