/** gRPC server reflection, as a tool asks for it. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '../../src/gen/grpc/reflection/v1/reflection_pb.ts';

/** One question over the socket; the status code where it is refused. */
export async function askReflection(
  socket: string,
  messageRequest: ServerReflectionRequest['messageRequest'],
): Promise<ServerReflectionResponse | number> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const identity = (bytes: Buffer): Buffer => bytes;
  const stream = client.makeBidiStreamRequest(
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    identity,
    identity,
  );
  try {
    return await new Promise((resolve) => {
      stream.on('data', (bytes: Buffer) => resolve(fromBinary(ServerReflectionResponseSchema, bytes)));
      stream.on('error', (error: ServiceError) => resolve(error.code));
      stream.write(
        Buffer.from(
          toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest })),
        ),
      );
    });
  } finally {
    stream.cancel();
    client.close();
  }
}
