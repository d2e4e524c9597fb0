import type { Control } from '../control.ts';
import { relevant } from './shared/external-secret.ts';

/** Longest refreshInterval without a warning, in seconds: ESO's own default. */
const LONGEST_REFRESH_SECONDS = 3600;

export const externalSecretRefresh: Control = {
  id: 'external-secret-refresh',
  group: 'rotation',
  severity: 'enforce',
  threat: 'What ESO does not read again does not rotate.',
  promise: 'ESO reads each Secret again, once an hour or more often.',
  rule: {
    about: 'object',
    remedy: 'Write refreshPolicy: Periodic and a refreshInterval between 1m and 1h.',
    *find(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      const { refreshPolicy, refreshInterval } = found.spec;
      if (refreshPolicy === 'CreatedOnce' || refreshPolicy === 'OnChange') {
        yield {
          path: [...found.at, 'refreshPolicy'],
          message: `${found.text} is refreshed ${refreshPolicy === 'OnChange' ? 'only when it is edited itself' : 'once'}`,
        };
        return;
      }
      if (![undefined, null, '', 'Periodic'].some((known) => known === refreshPolicy))
        yield {
          path: [...found.at, 'refreshPolicy'],
          message: `${found.text} has a refreshPolicy that does not exist`,
        };
      if (refreshInterval === undefined) return;
      const seconds = durationSeconds(String(refreshInterval));
      const path = [...found.at, 'refreshInterval'];
      if (seconds === undefined)
        yield { path, message: `${found.text} has a refreshInterval that is no duration` };
      else if (seconds <= 0)
        yield { path, message: `${found.text} is refreshed once: its refreshInterval is 0` };
      else if (seconds > LONGEST_REFRESH_SECONDS)
        yield { path, severity: 'warning', message: `${found.text} is refreshed less than once an hour` };
    },
  },
};

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds of a Go duration such as `1h30m`; undefined where the text is none. */
function durationSeconds(text: string): number | undefined {
  if (/^[-+]?0+$/.test(text)) return 0;
  const match = /^([-+]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    seconds += Number(amount) * (UNIT_SECONDS[unit ?? ''] ?? 0);
  return match[1] === '-' ? -seconds : seconds;
}
