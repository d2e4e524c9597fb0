/** gRPC reflection, for people with grpcurl at hand. Only loaded where the configuration asks for it. */

import { create, type DescFile, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { file_grpc_health_v1_health } from '../gen/grpc/health/v1/health_pb.ts';
import {
  file_grpc_reflection_v1_reflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '../gen/grpc/reflection/v1/reflection_pb.ts';
import { file_openshell_v1_openshell } from '../gen/openshell/v1/openshell_pb.ts';
import { file_secretresolver_v1_resolver } from '../gen/secretresolver/v1/resolver_pb.ts';
import { rawMethod } from './calls.ts';
import type { Connections } from './connections.ts';

const METHODS = {
  ServerReflectionInfo: rawMethod('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', {
    request: true,
    response: true,
  }),
};

/** Adds the service. OpenShell's file is left out where its package is not the one that the file declares. */
export function addReflection(server: Server, connections: Connections, openshellPackage: string): void {
  const files = [
    file_secretresolver_v1_resolver,
    file_grpc_health_v1_health,
    file_grpc_reflection_v1_reflection,
    ...(openshellPackage === 'openshell.v1' ? [file_openshell_v1_openshell] : []),
  ];
  server.addService(METHODS, {
    ServerReflectionInfo: (stream: ServerDuplexStream<Buffer, Buffer>) => {
      const connection = connections.get(stream.getPeer());
      connection?.began();
      if (connection?.stillAllowed() !== undefined || connection === undefined) {
        connection?.close();
        return;
      }
      stream.on('data', (bytes: Buffer) => {
        if (!connection.usage.requests.take(performance.now())) {
          stream.emit('error', {
            code: status.RESOURCE_EXHAUSTED,
            details: 'too many requests of this UID; slow down',
          });
          return;
        }
        try {
          const request = fromBinary(ServerReflectionRequestSchema, bytes);
          stream.write(Buffer.from(toBinary(ServerReflectionResponseSchema, answer(request, files))));
        } catch {
          stream.emit('error', { code: status.INVALID_ARGUMENT, details: 'the request is malformed' });
        }
      });
      stream.on('end', () => stream.end());
    },
  });
}

function answer(request: ServerReflectionRequest, files: readonly DescFile[]): ServerReflectionResponse {
  const { messageRequest } = request;
  const respond = (messageResponse: ServerReflectionResponse['messageResponse']) =>
    create(ServerReflectionResponseSchema, { originalRequest: request, messageResponse });
  const file = (found: DescFile | undefined) =>
    found === undefined
      ? respond({ case: 'errorResponse', value: notFound() })
      : respond({
          case: 'fileDescriptorResponse',
          value: {
            $typeName: 'grpc.reflection.v1.FileDescriptorResponse',
            fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, found.proto)],
          },
        });
  switch (messageRequest.case) {
    case 'listServices':
      return respond({
        case: 'listServicesResponse',
        value: {
          $typeName: 'grpc.reflection.v1.ListServiceResponse',
          service: files.flatMap((known) =>
            known.services.map(({ typeName }) => ({
              $typeName: 'grpc.reflection.v1.ServiceResponse' as const,
              name: typeName,
            })),
          ),
        },
      });
    case 'fileByFilename':
      return file(files.find((known) => `${known.name}.proto` === messageRequest.value));
    case 'fileContainingSymbol':
      return file(files.find((known) => declares(known, messageRequest.value)));
    case undefined:
      return respond({ case: 'errorResponse', value: notFound() });
  }
}

/** Whether a file declares a service, a method of it, a message or an enum. */
function declares(file: DescFile, symbol: string): boolean {
  return (
    file.services.some(
      (service) =>
        service.typeName === symbol ||
        service.methods.some((method) => `${service.typeName}.${method.name}` === symbol),
    ) ||
    file.messages.some(({ typeName }) => typeName === symbol) ||
    file.enums.some(({ typeName }) => typeName === symbol)
  );
}

function notFound() {
  return {
    $typeName: 'grpc.reflection.v1.ErrorResponse' as const,
    errorCode: status.NOT_FOUND,
    errorMessage: 'no such file or symbol',
  };
}
