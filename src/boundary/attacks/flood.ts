/**
 * Fills the socket's backlog and looks whether anybody else would still be served. What can be seen from here: how
 * soon a connection made during the flood and one made after it are answered. A refusal is an answer: it shows that
 * the listener accepts, and the supervisor waits in the same queue as we do.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CallAnswer, describeAnswer, firstAnswer } from './grpc-wire.ts';
import { socketVisible } from './socket.ts';
import type { Tries } from './tries.ts';
import type { AttackContext } from './types.ts';

/** More than the 4096 that the resolver asks for as its backlog, and that most kernels cap it to. */
const MOST_CONNECTIONS = 4608;
/** Descriptors that stay free for everything else. */
const SPARE_DESCRIPTORS = 128;
/**
 * Milliseconds in which a connection is to be answered, flood or no flood. Quiet, it takes one or two; in the flood
 * our own part of the work counts in as well, on a node that may be busy.
 */
const PROMPT_MS = 2000;
/** Milliseconds before a connection is tried again that found the backlog full, as a supervisor would. */
const RETRY_MS = 20;
/** What connect() on a Unix socket answers then. */
const BACKLOG_FULL = 'EAGAIN';

export const attacks = { backlog: attackBacklog };

async function attackBacklog(context: AttackContext, tries: Tries): Promise<void> {
  if (!socketVisible(context, tries)) return;
  const quiet = await askOnce(context);
  if (quiet.answer.kind === 'no-connection' || quiet.answer.kind === 'silent') {
    tries.refused('before the flood', describeAnswer(quiet.answer));
    return;
  }
  const flood: net.Socket[] = [];
  try {
    const connections = affordable();
    for (let i = 0; i < connections; i++) {
      const socket = net.connect(context.socketPath);
      socket.on('error', () => undefined);
      flood.push(socket);
    }
    report(`during a flood of ${connections}`, await askOnce(context), tries);
    report('with the flood still open', await askOnce(context), tries);
  } finally {
    for (const socket of flood) socket.destroy();
  }
}

interface Timed {
  readonly answer: CallAnswer;
  readonly ms: number;
}

/** As many connections as our descriptor limit allows. */
function affordable(): number {
  const limit = Number(/^Max open files\s+([0-9]+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  return Number.isNaN(limit)
    ? MOST_CONNECTIONS
    : Math.min(MOST_CONNECTIONS, Math.max(limit - SPARE_DESCRIPTORS, 0));
}

/** One connection by somebody who tries again while the backlog is full, for as long as is prompt. */
async function askOnce(context: AttackContext): Promise<Timed> {
  const start = performance.now();
  const elapsed = () => Math.round(performance.now() - start);
  for (;;) {
    const left = Math.max(PROMPT_MS - elapsed(), 1);
    const answer = await firstAnswer(net.connect(context.socketPath), left);
    const full = answer.kind === 'no-connection' && answer.errno === BACKLOG_FULL;
    if (!full || elapsed() + RETRY_MS >= PROMPT_MS) return { answer, ms: elapsed() };
    await sleep(RETRY_MS);
  }
}

function report(target: string, { answer, ms }: Timed, tries: Tries): void {
  const words = describeAnswer(answer);
  if (answer.kind === 'closed' || answer.kind === 'other') tries.held(target, `answered in ${ms} ms`);
  else if (answer.kind === 'silent' || (answer.kind === 'no-connection' && answer.errno === BACKLOG_FULL)) {
    tries.broken(target, `${words} after ${ms} ms: nobody else would be served`);
  } else {
    // EMFILE, say: our own limit ended the flood, so it proved nothing.
    tries.unclear(target, words);
  }
}
