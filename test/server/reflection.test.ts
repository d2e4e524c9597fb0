import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import type { ServerReflectionRequest } from '../../src/gen/grpc/reflection/v1/reflection_pb.ts';
import { askReflection } from '../support/reflection.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

let server: TestServer;

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const ask = (question: ServerReflectionRequest['messageRequest']) => askReflection(server.socket, question);

describe('reflection', () => {
  it('is not there unless asked for', async () => {
    server = await TestServer.open(new Workspace());
    expect(await ask({ case: 'listServices', value: '' })).toBe(status.UNIMPLEMENTED);
  });

  it('names the services, and gives the file of each', async () => {
    const workspace = new Workspace();
    workspace.writeConfig({ reflection: true });
    server = await TestServer.open(workspace);
    const list = await ask({ case: 'listServices', value: '' });
    if (typeof list === 'number' || list.messageResponse.case !== 'listServicesResponse')
      throw new Error('no list');
    const names = list.messageResponse.value.service.map(({ name }) => name);
    expect(names.sort()).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'openshell.v1.OpenShell',
      'secretresolver.v1.CredentialResolver',
    ]);
    for (const question of [
      ...names.map((value) => ({ case: 'fileContainingSymbol', value }) as const),
      { case: 'fileContainingSymbol', value: 'secretresolver.v1.CredentialResolver.GetStatus' } as const,
      { case: 'fileContainingSymbol', value: 'secretresolver.v1.Volume' } as const,
      { case: 'fileByFilename', value: 'secretresolver/v1/resolver.proto' } as const,
    ]) {
      const answer = await ask(question);
      if (typeof answer === 'number' || answer.messageResponse.case !== 'fileDescriptorResponse')
        throw new Error(`no file for ${question.value}`);
      const file = fromBinary(
        FileDescriptorProtoSchema,
        answer.messageResponse.value.fileDescriptorProto[0] ?? new Uint8Array(),
      );
      expect(question.value.replaceAll('/', '.')).toContain(file.package);
    }
    const unknown = await ask({ case: 'fileContainingSymbol', value: 'no.such.Thing' });
    expect(typeof unknown === 'number' ? unknown : unknown.messageResponse.case).toBe('errorResponse');
  });
});
