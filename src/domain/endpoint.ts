/** Whether an endpoint is reached over TLS. It is unless it says otherwise, by `tls` or by plain HTTP's own port. */
export function speaksTls({ port, tls }: { readonly port: number; readonly tls?: boolean }): boolean {
  return tls ?? port !== 80;
}
