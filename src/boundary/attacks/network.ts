/** Attacks over the network namespace that a pod shares: inspectors, abstract sockets, TCP listeners. */
import net from 'node:net';
import { isShortage } from '../../domain/errors.ts';
import { Status } from '../../socket/grpc-status.ts';
import { type CallAnswer, callOn, describeAnswer, isGain } from './grpc-wire.ts';
import { askInspector } from './inspector.ts';
import { describeListener, tcpListeners, unixListeners } from './surroundings.ts';
import type { Tries } from './tries.ts';
import type { AttackContext } from './types.ts';

/** Listeners tried. A pod has a handful. */
const MAX_LISTENERS = 64;
/** Milliseconds for one call; all listeners are asked at the same time. */
const CALL_TIMEOUT_MS = 800;
const INSPECTOR_PORT = 9229;

export const attacks = {
  inspector: attackInspectors,
  'abstract-sockets': async (context: AttackContext, tries: Tries) => {
    const listeners = unixListeners().filter(({ abstract }) => abstract);
    const targets = listeners.map(({ name }) => ({ name: `@${name}`, target: { path: `\0${name}` } }));
    await askAll('abstract socket', targets, context, tries);
  },
  /** The kernel names sockets of all mount namespaces: a path that is not there, or leads elsewhere, is no way in. */
  'other-sockets': async (context: AttackContext, tries: Tries) => {
    const listed = unixListeners().flatMap(({ name, abstract }) => (abstract ? [] : name));
    // The kernel lists a socket of the resolver under the name that it was bound by, before it was renamed.
    const names = new Set([...context.otherSockets, ...listed]);
    names.delete(context.socketPath);
    const targets = [...names].map((name) => ({ name, target: { path: name } }));
    await askAll('other Unix socket', targets, context, tries);
  },
  'tcp-services': async (context: AttackContext, tries: Tries) => {
    const targets = tcpListeners().map((target) => ({ name: describeListener(target), target }));
    await askAll('TCP socket', targets, context, tries);
  },
};

async function attackInspectors(_context: AttackContext, tries: Tries): Promise<void> {
  const usual = ['127.0.0.1', '::1'].map((host) => ({ host, port: INSPECTOR_PORT }));
  const byName = new Map([...usual, ...tcpListeners()].map((target) => [describeListener(target), target]));
  await Promise.all(
    boundedList([...byName], tries).map(async ([name, target]) => {
      const answer = await askInspector(target, CALL_TIMEOUT_MS);
      if (typeof answer === 'string') tries.held(name, answer);
      else tries.broken(name, `answers as an inspector, ${answer} targets`);
    }),
  );
}

interface Target {
  readonly name: string;
  readonly target: net.NetConnectOpts;
}

/** Asks each for what a resolver alone answers. */
async function askAll(
  what: string,
  targets: readonly Target[],
  context: AttackContext,
  tries: Tries,
): Promise<void> {
  if (targets.length === 0) tries.notApplicable(`no ${what} listens in this network namespace`);
  let asked = boundedList(targets, tries);
  // One call of each at a time: all at once take a slow machine the time in which the answers come.
  for (const rpc of context.rpcs.filter(({ ours }) => ours)) {
    const speaking = new Set<Target>();
    await Promise.all(
      asked.map(async (each) => {
        const answer = await callOn(net.connect(each.target), rpc, CALL_TIMEOUT_MS);
        judge(`${each.name} ${rpc.path}`, answer, tries);
        if (answer.kind === 'status') speaking.add(each);
      }),
    );
    // What speaks no gRPC, is silent or closed is so to every call.
    asked = asked.filter((each) => speaking.has(each));
  }
}

function boundedList<T>(list: readonly T[], tries: Tries): readonly T[] {
  if (list.length > MAX_LISTENERS) {
    tries.unclear(`${list.length - MAX_LISTENERS} further listeners`, 'too many to ask them all');
  }
  return list.slice(0, MAX_LISTENERS);
}

/** Something else may listen here, with whatever right. Only the credential service is a finding. */
function judge(target: string, answer: CallAnswer, tries: Tries): void {
  const words = describeAnswer(answer);
  // A lack of descriptors here says nothing about the listener.
  if (answer.kind === 'no-connection' && isShortage(answer.errno)) tries.unclear(target, words);
  else if (answer.kind !== 'status' || answer.code === Status.UNIMPLEMENTED) tries.held(target, words);
  else if (isGain(answer)) tries.broken(target, words);
  // The service exists and refused us. No credential may be available over TCP or an abstract socket at all.
  else tries.unclear(target, words);
}
