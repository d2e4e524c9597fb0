/** Callers are told apart by what the kernel says of a peer. If that is not true, nothing may be served. */
import { CommandError, ExitCode } from '../domain/errors.ts';
import { NativeError } from '../native/native.ts';
import { type PeerProof, provePeers } from '../native/peer-proof.ts';

/**
 * Throws unless the kernel names another process as the peer of its connection. No option waives this: without it the
 * agent passes for a caller, and the audit accuses the wrong process.
 */
export function requireTruthfulPeers(prove: () => PeerProof = provePeers): void {
  let proof: PeerProof;
  try {
    proof = prove();
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    throw refusal(`could not be tried: ${error.message}`);
  }
  if (proof.named !== proof.child) {
    throw refusal(
      `names PID ${proof.named} for a connection from PID ${proof.child}${proof.named === process.pid ? ', the process that asks' : ''}`,
    );
  }
}

function refusal(what: string): CommandError {
  return new CommandError(
    `SO_PEERCRED ${what}. This kernel cannot tell callers apart, so nothing is served. Use another container runtime, or a newer release of this one: runsc of 2022, which Debian 12 has, is known for it (docs/runtimes.md)`,
    ExitCode.refused,
  );
}
