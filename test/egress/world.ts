/** The whole way of a request: resolver, kit, the real Envoy, and a server that tells what it was sent. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import {
  createServer as createHttp,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { Agent, createServer as createHttps, request as httpsRequest } from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  SecretDiscoveryService,
} from '../../src/gen/envoy/service/secret/v3/sds_pb.ts';
import { installEnvoy } from '../interop/envoy-program.ts';
import { CliProcess, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { ARTIFACTS } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

export const UID = 1337;
/** Names below localhost lead to loopback without a DNS server. */
export const HOST = 'api.localhost';

/** The server has no certificate for this one. */
export const WRONG_HOST = 'wrong.wild.localhost';

/** What the server saw. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

export class EgressWorld implements AsyncDisposable {
  readonly workspace = new Workspace();
  readonly secret = this.workspace.secret('credentials');
  readonly seen: Seen[] = [];
  readonly directory = join(this.workspace.root, 'run/egress');
  readonly caFile = join(this.workspace.root, 'run/ca/ca.crt');
  /** What the server answers; what it was sent unless set. */
  answer: RequestListener | undefined;
  tlsPort = 0;
  plainPort = 0;
  proxyPort = 0;
  serve!: CliProcess;
  kit!: CliProcess;
  envoy!: ChildProcess;
  envoyLog = '';
  readonly #servers: Server[] = [];
  readonly #clients: Client[] = [];
  #program = '';

  /** Starts everything. `egress` is that part of the configuration. */
  static async start(
    egress: object = {},
    endpoints?: (world: EgressWorld) => object[],
  ): Promise<EgressWorld> {
    const world = new EgressWorld();
    try {
      await world.#start(egress, endpoints);
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  async #start(egress: object, endpoints?: (world: EgressWorld) => object[]): Promise<void> {
    const { workspace } = this;
    this.#program = await installEnvoy('1.40.0');
    const authority = await ThrowAwayAuthority.create('upstream', Date.now());
    const contexts = new Map<string, Promise<SecureContext>>();
    const contextFor = (name: string) => {
      const context =
        contexts.get(name) ??
        authority.issue(name).then(({ key, certificate: cert }) => createSecureContext({ key, cert }));
      contexts.set(name, context);
      return context;
    };
    // A server for every name but one, for which it has the certificate of another.
    const SNICallback = (name: string, done: (error: Error | null, context?: SecureContext) => void) => {
      contextFor(name === WRONG_HOST ? HOST : name).then((context) => done(null, context), done);
    };
    this.tlsPort = await this.#listen(createHttps({ SNICallback }, this.#handle));
    this.plainPort = await this.#listen(createHttp(this.#handle));
    this.proxyPort = await freePort();
    const trustedCa = join(workspace.root, 'upstream.pem');
    writeFileSync(trustedCa, authority.certificate);
    workspace.writeConfig({
      callers: [
        { name: 'egress', uid: UID, providers: ['*'] },
        { name: 'test', uid: process.getuid?.() ?? 0, providers: ['*'] },
      ],
      egress: {
        listen: `127.0.0.1:${this.proxyPort}`,
        directory: this.directory,
        caDirectory: join(this.caFile, '..'),
        trustedCa,
        ...egress,
      },
    });
    this.writeProvider(
      endpoints?.(this) ?? [
        { host: HOST, port: this.tlsPort },
        { host: HOST, port: this.plainPort, tls: false },
      ],
    );
    await this.startResolver();
    await this.startKit();
    await this.startEnvoy();
  }

  /** A provider of everything in a Secret. */
  writeProvider(endpoints: readonly object[], name = 'gitlab', secret = 'credentials'): void {
    this.workspace.writeProvider(`${name}.yaml`, {
      name,
      type: 'custom',
      endpoints,
      credentialsFrom: [{ source: { type: 'kubernetesSecret', name: secret }, mode: 'allKeys' }],
    });
  }

  async startResolver(): Promise<void> {
    this.serve = await startServe(this.workspace.configFile);
  }

  async startKit(): Promise<void> {
    this.kit = new CliProcess(['egress', '--config', this.workspace.configFile], { uid: UID, gid: UID });
    await until(
      () => this.kit.stderr.includes('Envoy can be started') || this.kit.child.exitCode !== null,
      15_000,
      () => `the kit did not start:\n${this.kit.stderr}`,
    );
  }

  async startEnvoy(): Promise<void> {
    this.envoy = this.spawnEnvoy(this.directory);
    for (const output of [this.envoy.stdout, this.envoy.stderr])
      output?.setEncoding('utf8').on('data', (text: string) => {
        this.envoyLog += text;
        appendFileSync(join(ARTIFACTS, 'envoy.log'), text);
      });
    await until(
      async () => (await this.curl(['--head', 'http://unlisted.localhost/'])).status > 0,
      15_000,
      () => `Envoy did not start:\n${this.envoyLog.slice(-2_000)}`,
    );
  }

  /** Envoy with the configuration in a folder. */
  spawnEnvoy(directory: string): ChildProcess {
    const own = join(this.workspace.root, 'envoy');
    if (!existsSync(own)) copyFileSync(this.#program, own, constants.COPYFILE_FICLONE);
    const args = ['-c', join(directory, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1'];
    return spawn(own, args, { uid: UID, gid: UID, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** What the kit wrote, in another folder and on another port, with additions to the bootstrap; the kit is the same. */
  copyConfiguration(
    folder: string,
    more: object,
    port = 0,
    change = (_key: string, value: unknown) => value,
  ): void {
    mkdirSync(folder);
    chownSync(folder, UID, UID);
    for (const file of ['envoy.yaml', 'listeners.yaml', 'clusters.yaml']) {
      const written = readFileSync(join(this.directory, file), 'utf8');
      const config = JSON.parse(written.replaceAll(`${this.directory}/`, `${folder}/`), (key, value) => {
        if (key === 'pipe') return { path: join(this.directory, 'egress.sock') };
        return key === 'port_value' && value === this.proxyPort ? port : change(key, value);
      });
      writeFileSync(
        join(folder, file),
        JSON.stringify(file === 'envoy.yaml' ? { ...config, ...more } : config),
      );
      chownSync(join(folder, file), UID, UID);
    }
  }

  async stopEnvoy(): Promise<void> {
    const ended = new Promise((done) => this.envoy.once('close', done));
    if (this.envoy.kill('SIGKILL')) await ended;
  }

  url(path = '/', port = this.tlsPort): string {
    return `${port === this.plainPort ? 'http' : 'https'}://${HOST}:${port}${path}`;
  }

  /** One request of curl's, as the agent makes it: with the variables of its environment and nothing else. */
  curl(args: readonly string[]): Promise<Answer> {
    const proxy = `http://127.0.0.1:${this.proxyPort}`;
    const env = {
      PATH: process.env.PATH,
      https_proxy: proxy,
      http_proxy: proxy,
      CURL_CA_BUNDLE: this.caFile,
    };
    return new Promise((resolve) => {
      execFile(
        'curl',
        ['--silent', '--show-error', '--include', '--suppress-connect-headers', '--max-time', '10', ...args],
        { env, encoding: 'latin1', maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) => {
          const [headers = '', ...body] = stdout.split('\r\n\r\n');
          const tunnel = /response (\d{3})|CONNECT tunnel failed, response (\d{3})/.exec(stderr);
          const status = /^HTTP\/[\d.]+ (\d{3})/.exec(headers)?.[1] ?? tunnel?.[1] ?? tunnel?.[2];
          resolve({
            status: Number(status ?? 0),
            headers: error ? stderr : headers,
            body: body.join('\r\n\r\n'),
          });
        },
      );
    });
  }

  /** The status of a CONNECT whose authority is written as it is. */
  connect(authority: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.proxyPort, '127.0.0.1', () =>
        socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`, 'utf8'),
      );
      socket.once('data', (bytes: Buffer) => {
        resolve(Number(/^HTTP\/1.1 (\d{3})/.exec(bytes.toString('latin1'))?.[1]));
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }

  /** Asks the kit for certificates, as Envoy does. */
  certificates() {
    const client = new Client(`unix:${this.directory}/egress.sock`, credentials.createInsecure());
    this.#clients.push(client);
    const same = (bytes: Buffer) => bytes;
    const { typeName, method } = SecretDiscoveryService;
    const stream = client.makeBidiStreamRequest(`/${typeName}/${method.deltaSecrets.name}`, same, same);
    stream.on('error', () => {});
    const ask = async (resourceNamesSubscribe: string[]) => {
      const request = create(DeltaDiscoveryRequestSchema, { resourceNamesSubscribe });
      stream.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, request)));
      const [bytes] = (await once(stream, 'data')) as [Buffer];
      const { resources, removedResources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
      return { granted: resources.map(({ name }) => name), refused: removedResources };
    };
    return { ask, [Symbol.dispose]: () => stream.cancel() };
  }

  /** A POST of which all but the last byte is sent. */
  async openUpload(header: string): Promise<{ readonly finish: () => Promise<number> }> {
    const agent = new Agent({
      ca: readFileSync(this.caFile),
      proxyEnv: { HTTPS_PROXY: `http://127.0.0.1:${this.proxyPort}` },
    });
    const [name = '', text = ''] = header.split(': ');
    const headers = { [name]: text, 'content-type': 'text/plain', 'content-length': '2' };
    const call = httpsRequest({ agent, host: HOST, port: this.tlsPort, method: 'POST', headers });
    const answered = once(call, 'response') as Promise<[IncomingMessage]>;
    call.write('a');
    // Envoy has the headers, and has asked the kit about them.
    await sleep(500);
    return {
      finish: async () => {
        call.end('b');
        const [response] = await answered;
        response.resume();
        agent.destroy();
        return response.statusCode ?? 0;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    this.envoy?.kill('SIGKILL');
    await this.kit?.[Symbol.asyncDispose]();
    await this.serve?.[Symbol.asyncDispose]();
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    this.workspace[Symbol.dispose]();
  }

  readonly #handle: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      this.seen.push({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString('latin1') });
      if (this.answer) this.answer(request, response);
      else response.end('ok');
    });
  };

  async #listen(server: Server): Promise<number> {
    this.#servers.push(server.listen(0, '127.0.0.1'));
    await until(() => server.listening);
    return (server.address() as AddressInfo).port;
  }
}
