/**
 * Whether OpenShell's supervisor compiles the host of a binding. It drops every credential of the sandbox for one that it
 * does not. Written from its behaviour, and apart from the pattern in `src`, which it is a check of.
 */
export function compilesHost(host: string): boolean {
  return !/[\s{}]/.test(host) && host.split('.').every((label) => label === '**' || compilesLabel(label));
}

function compilesLabel(label: string): boolean {
  if (label === '') return false;
  for (let at = 0; at < label.length; at++) {
    if (label.startsWith('**', at)) return false;
    if (label[at] !== '[') continue;
    // A class has at least one character, which may be "]" itself.
    const first = label[at + 1] === '!' ? at + 2 : at + 1;
    const end = label.indexOf(']', first + 1);
    if (end < 0) return false;
    at = end;
  }
  return true;
}
