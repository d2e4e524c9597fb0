/**
 * Fills the socket's backlog and looks whether anybody else would still be served. What can be seen from here: how
 * soon a connection made during the flood and one made after it are answered. A refusal is an answer: it shows that
 * the listener accepts, and the supervisor waits in the same queue as we do.
 */
import type net from 'node:net';
import { REFUSED } from './answer.ts';
import { type CallAnswer, describeAnswer, firstAnswer, HTTP2_OPENING, openConnection } from './grpc-wire.ts';
import { socketVisible } from './socket.ts';
import type { Attack, AttackContext, Tries } from './types.ts';

/** More than the 511 that Node asks for as its backlog, and fewer than the 1024 descriptors of a default limit. */
const CONNECTIONS = 640;
/** Milliseconds in which a connection is to be answered, flood or no flood. Quiet, it takes one or two. */
const PROMPT_MS = 1000;
const RIGHT_REASON = `answered within ${PROMPT_MS} ms`;

export const FLOOD_ATTACKS: readonly Attack[] = [
  {
    id: 'backlog',
    family: 'socket',
    what: `open ${CONNECTIONS} connections at once and look whether the next is answered`,
    rightReasons: [RIGHT_REASON, ...REFUSED],
    budgetMs: 5000,
    run: attackBacklog,
  },
];

async function attackBacklog(context: AttackContext, tries: Tries): Promise<void> {
  if (!socketVisible(context, tries)) return;
  const quiet = await askOnce(context);
  if (quiet.answer.kind === 'no-connection') {
    const words = describeAnswer(quiet.answer);
    if (REFUSED.includes(quiet.answer.errno as 'EACCES')) tries.held('before the flood', words);
    else tries.unclear('before the flood', words);
    return;
  }
  if (quiet.answer.kind === 'silent') {
    tries.unclear('before the flood', describeAnswer(quiet.answer));
    return;
  }
  const flood: net.Socket[] = [];
  try {
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = openConnection(context.socketPath);
      socket.on('error', () => undefined);
      flood.push(socket);
    }
    report('during the flood', await askOnce(context), tries);
    report('with the flood still open', await askOnce(context), tries);
  } finally {
    for (const socket of flood) socket.destroy();
  }
}

interface Timed {
  readonly answer: CallAnswer;
  readonly ms: number;
}

async function askOnce(context: AttackContext): Promise<Timed> {
  const start = performance.now();
  const answer = await firstAnswer(openConnection(context.socketPath), HTTP2_OPENING, PROMPT_MS);
  return { answer, ms: Math.round(performance.now() - start) };
}

function report(target: string, { answer, ms }: Timed, tries: Tries): void {
  const words = describeAnswer(answer);
  if (answer.kind === 'closed' || answer.kind === 'other') tries.held(target, `answered in ${ms} ms`);
  // EAGAIN: the backlog is full. The supervisor would get the same.
  else if (answer.kind === 'silent' || (answer.kind === 'no-connection' && answer.errno === 'EAGAIN')) {
    tries.broken(target, `${words} after ${ms} ms: nobody else would be served`);
  } else {
    // EMFILE, say: our own limit ended the flood, so it proved nothing.
    tries.unclear(target, words);
  }
}
