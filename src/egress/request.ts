/** One HTTP request on its way through Envoy: what becomes of each of its parts. No I/O. */

import { isDeepStrictEqual } from 'node:util';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type BodyKind, type Refusal, redactTarget, statusOf } from '../client/index.ts';
import { lowerAscii } from '../client/placeholder-endpoint.ts';
import { refuse } from '../client/placeholder-refusal.ts';
import {
  BodySendMode as Body,
  type HeaderMap,
  type HttpBody,
  type HttpHeaders,
  type ProcessingModeSchema,
  type ProcessingRequest,
  type ProcessingResponse,
  ProcessingResponseSchema,
  HeaderSendMode as Send,
} from '../gen/envoy/service/ext_proc/v3/external_processor_pb.ts';
import { FILTER, SERVER_NAME } from './bootstrap.ts';
import type { Current } from './current.ts';
import type { Server } from './destinations.ts';
import { type Headers, header, mutation, readHeaders } from './headers.ts';
import { Redaction } from './redact.ts';

/** Why a request is answered by the kit. Never a value, nor any part of the request but the name of its server. */
export interface Denial {
  readonly reason: string;
  readonly detail: string;
  readonly server: string;
  readonly key: string | undefined;
}

export interface RequestOptions {
  readonly current: Current;
  /** What Envoy's listener is: `plain`, or `tls:<port>`. */
  readonly listener: string;
  readonly denied: (denial: Denial) => void;
}

type Answer = NonNullable<MessageInitShape<typeof ProcessingResponseSchema>['response']>;
type Mode = MessageInitShape<typeof ProcessingModeSchema>;

export class ProxiedRequest implements Disposable {
  readonly #options: RequestOptions;
  #body: { readonly kind: BodyKind; readonly server: Server; readonly path: string } | undefined;
  #redaction: Redaction | undefined;
  #redacted: { readonly providers: ReadonlySet<string>; generation: number } | undefined;
  /** The request is still in Envoy while its body comes in: whether the values in it may still be sent. */
  #headersStillHold: ((now: number) => Refusal | undefined) | undefined;
  /** Nothing more of it is wanted. */
  done = false;

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#redaction?.[Symbol.dispose]();
  }

  /** The answer to one part, `now` in Unix milliseconds. */
  take({ request, attributes }: ProcessingRequest, now: number): ProcessingResponse {
    switch (request.case) {
      case 'requestHeaders': {
        const name = attributes[FILTER]?.[SERVER_NAME];
        return this.#headers(request.value, typeof name === 'string' ? name : undefined, now);
      }
      case 'requestBody':
        this.done = this.#redaction === undefined;
        return this.#bodyOf(request.value, now);
      case 'responseHeaders':
        return this.#response(request.value.headers, request.value.endOfStream);
      case 'responseBody': {
        const body = this.#redactionNow()?.chunk(request.value.body, request.value.endOfStream);
        return answer({
          case: 'responseBody',
          value: { response: body && { bodyMutation: { mutation: { case: 'body', value: body } } } },
        });
      }
      case undefined:
        // A part that was not asked for: the call ends, and with it the request.
        throw new Error('Envoy sent a part of a request that the kit did not ask for');
    }
  }

  #headers(message: HttpHeaders, tlsName: string | undefined, now: number): ProcessingResponse {
    const headers = readHeaders(message.headers);
    const authority = header(headers, ':authority') ?? '';
    const server = serverOf(this.#options.listener, tlsName, authority);
    if (server === undefined) return this.#deny('bad_destination', 'no-server', authority);
    const { destinations, resolver } = this.#options.current;
    const listed = destinations.has(server);
    if (!listed && !(destinations.unlisted === 'tunnel' && !server.tls)) {
      return this.#deny('destination_not_listed', 'not-listed', server);
    }
    // What is dialled is the authority: it is the server that TLS was made for, or nothing is sent.
    if (!names(authority, server)) return this.#deny('host_mismatch', 'host-mismatch', server);
    const target = header(headers, ':path') ?? '';
    const asked = {
      ...server,
      method: header(headers, ':method') ?? '',
      target,
      headers: headers.filter(([name]) => name !== ':path' && name !== ':method'),
      body: undefined,
      rewriteBody: false,
    };
    const rewriting = resolver.rewriteRequest(asked, now);
    if (rewriting.kind === 'refused') return this.#refuse(rewriting, server);
    const redacted = destinations.redactedProviders(server);
    if (redacted.size > 0) {
      const { current } = this.#options;
      this.#redaction = new Redaction(current.needlesOf(redacted));
      this.#redacted = { providers: redacted, generation: current.generation };
    }
    if (!message.endOfStream && destinations.rewritesBodies(server)) {
      const kind = { type: header(headers, 'content-type'), encoding: header(headers, 'content-encoding') };
      const [path = ''] = redactTarget(target).split('?');
      this.#body = { kind: { ...kind, optedIn: true }, server, path };
      if (rewriting.keys.length > 0) {
        const [key] = rewriting.keys;
        this.#headersStillHold = (later) => {
          const again = resolver.rewriteRequest(asked, later);
          if (again.kind === 'refused') return again;
          // Rotated meanwhile: the value that Envoy holds is the old one.
          const same = isDeepStrictEqual(again.value, rewriting.value);
          return same ? undefined : refuse('stale-revision', 'request', key);
        };
      }
    }
    const before: Headers = [[':path', target], ...asked.headers];
    const after: Headers = [
      [':path', rewriting.value.target],
      ...rewriting.value.headers.map(
        ([name, value]) => [name, name === ':authority' ? withPort(value, server) : value] as const,
      ),
    ];
    // A body that is packed cannot be looked into.
    const remove = this.#redaction === undefined ? [] : ['accept-encoding'];
    const headerMutation = mutation(before, after, remove);
    return answer({ case: 'requestHeaders', value: { response: { headerMutation } } }, this.#modes());
  }

  /** Which further parts Envoy sends; what it is configured with where none is wanted. */
  #modes(): Mode | undefined {
    this.done = this.#body === undefined && this.#redaction === undefined;
    if (this.done) return undefined;
    return {
      requestBodyMode: this.#body === undefined ? Body.UNSPECIFIED : Body.BUFFERED,
      responseHeaderMode: this.#redaction === undefined ? Send.SKIP : Send.SEND,
    };
  }

  #bodyOf({ body }: HttpBody, now: number): ProcessingResponse {
    if (this.#body === undefined) throw new Error('Envoy sent a body that the kit did not ask for');
    const { kind, server, path } = this.#body;
    const refusal = this.#headersStillHold?.(now);
    if (refusal !== undefined) return this.#refuse(refusal, server);
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const rewriting = this.#options.current.resolver.rewriteBody(bytes, kind, { ...server, path }, now);
    if (rewriting.kind === 'refused') return this.#refuse(rewriting, server);
    const { value, keys } = rewriting;
    return answer({
      case: 'requestBody',
      value: {
        response:
          keys.length === 0
            ? {}
            : {
                headerMutation: mutation([], [['content-length', String(value.byteLength)]]),
                bodyMutation: { mutation: { case: 'body', value } },
              },
      },
    });
  }

  #response(map: HeaderMap | undefined, endOfStream: boolean): ProcessingResponse {
    const redaction = this.#redactionNow();
    if (redaction === undefined) return answer({ case: 'responseHeaders', value: {} });
    const headers = readHeaders(map);
    const after: Headers = headers.map(([name, value]) => [name, redaction.text(value)]);
    const looked = !endOfStream && isText(headers);
    const headerMutation = mutation(headers, after, looked ? ['content-length'] : []);
    return answer(
      { case: 'responseHeaders', value: { response: { headerMutation } } },
      looked ? { responseBodyMode: Body.STREAMED } : undefined,
    );
  }

  /** With the values of this moment beside those of the request's. */
  #redactionNow(): Redaction | undefined {
    const { current } = this.#options;
    if (this.#redacted !== undefined && this.#redacted.generation !== current.generation) {
      this.#redacted.generation = current.generation;
      this.#redaction?.add(current.needlesOf(this.#redacted.providers));
    }
    return this.#redaction;
  }

  #refuse({ reason, detail, key }: Refusal, server: Server): ProcessingResponse {
    return this.#deny(reason, detail, server, { status: statusOf(reason), key });
  }

  #deny(
    reason: string,
    detail: string,
    server: Server | string,
    { status = 403, key }: { status?: number; key?: string | undefined } = {},
  ): ProcessingResponse {
    const name = typeof server === 'string' ? server : `${server.host}:${server.port}`;
    this.done = true;
    this.#options.denied({ reason, detail, server: name, key });
    const body = Buffer.from(
      `${JSON.stringify({ error: reason, ...(key !== undefined && { credential: key }) })}\n`,
    );
    const headers = mutation([], [['content-type', 'application/json']]);
    return answer({
      case: 'immediateResponse',
      value: { status: { code: status }, headers, body, details: detail },
    });
  }
}

function answer(response: Answer, modeOverride?: Mode): ProcessingResponse {
  return create(ProcessingResponseSchema, { response, ...(modeOverride && { modeOverride }) });
}

/** The server that Envoy dials for a listener, if the authority names it. */
function serverOf(listener: string, tlsName: string | undefined, authority: string): Server | undefined {
  const [kind, port] = listener.split(':');
  if (kind === 'tls') {
    return tlsName ? { host: lowerAscii(tlsName), port: Number(port), tls: true } : undefined;
  }
  const [, host, named = '80'] = /^([^:]+)(?::([0-9]{1,5}))?$/.exec(lowerAscii(authority)) ?? [];
  return host === undefined ? undefined : { host, port: Number(named), tls: false };
}

function names(authority: string, server: Server): boolean {
  const named = lowerAscii(authority);
  return named === server.host || named === `${server.host}:${server.port}`;
}

/** Envoy dials the scheme's own port unless the authority has another. */
function withPort(authority: string, server: Server): string {
  return lowerAscii(authority) === server.host && server.port !== (server.tls ? 443 : 80)
    ? `${authority}:${server.port}`
    : authority;
}

/** What can be looked into, and holds no trailers, which would cut what is held back. */
function isText(headers: Headers): boolean {
  if (header(headers, 'content-encoding') !== undefined || header(headers, 'trailer') !== undefined)
    return false;
  return /^(text\/|application\/([^;]*\+)?(json|xml|javascript|x-www-form-urlencoded|x-ndjson|yaml))/i.test(
    header(headers, 'content-type') ?? '',
  );
}
