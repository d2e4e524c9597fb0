/** Every attack, in the order in which they are made. What disturbs the listener comes last. */
import { CALL_ATTACKS } from './calls.ts';
import { FILE_ATTACKS } from './files.ts';
import { FLOOD_ATTACKS } from './flood.ts';
import { NETWORK_ATTACKS } from './network.ts';
import { PROCESS_ATTACKS } from './processes.ts';
import { SEARCH_ATTACKS } from './search.ts';
import { SOCKET_ATTACKS } from './socket.ts';
import { SOCKET_FILE_ATTACKS } from './socket-file.ts';
import type { Attack } from './types.ts';

export const ATTACKS: readonly Attack[] = [
  ...FILE_ATTACKS,
  ...PROCESS_ATTACKS,
  ...CALL_ATTACKS,
  ...SOCKET_ATTACKS,
  ...NETWORK_ATTACKS,
  ...SEARCH_ATTACKS,
  ...SOCKET_FILE_ATTACKS,
  ...FLOOD_ATTACKS,
];
