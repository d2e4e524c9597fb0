/**
 * Matches a whole text against a glob in which `*` matches any run of characters other than `separator`. Takes linear
 * time for each star and uses no regular expression, so no pattern can cause catastrophic backtracking.
 */
export function matchGlob(pattern: string, text: string, separator?: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return text === pattern;
  if (!text.startsWith(first)) return false;
  const last = parts[parts.length - 1] ?? '';
  if (separator !== undefined) {
    const wanted = pattern.split(separator);
    const given = text.split(separator);
    return (
      wanted.length === given.length && wanted.every((part, index) => matchGlob(part, given[index] ?? ''))
    );
  }
  let at = first.length;
  for (const middle of parts.slice(1, -1)) {
    const found = text.indexOf(middle, at);
    if (found < 0) return false;
    at = found + middle.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/**
 * Host patterns that OpenShell's supervisor compiles; one that it does not makes it drop every credential of the sandbox.
 * A label is `**` alone, or text with `*`, `?` and `[...]`; a class has at least one character.
 */
export const HOST_PATTERN =
  /^(\*\*|([^.*[]|\*(?!\*)|\[(![^.]|[^!.])[^\].]*\])+)(\.(\*\*|([^.*[]|\*(?!\*)|\[(![^.]|[^!.])[^\].]*\])+))*$/;

/** How OpenShell's reading of a bound path differs from ours. */
export type PathDifference =
  /** Its `*` also matches "/". */
  | 'wider-there'
  /** It reads the pattern literally: it is no glob there, or a glob before `/**`. */
  | 'wider-here'
  /** `[...]` is a class there and literal here. */
  | 'class'
  /** It has characters that are percent-encoded or cut off in every path that is compared. */
  | 'nothing-there';

/** Differences in the paths that a pattern matches; empty where both read it alike. */
export function pathDifferences(pattern: string): PathDifference[] {
  const below = pattern.endsWith('/**');
  const literal = below || !compiles(pattern) ? pattern : pattern.replaceAll(CLASS, '');
  if (/[[\];%"<>\\^`|]|[^\x21-\x7e]/.test(literal)) return ['nothing-there'];
  const stars = (below ? pattern.slice(0, -3) : pattern).includes('*');
  if (below || !compiles(pattern)) return stars ? ['wider-here'] : [];
  const globs = pattern.split('/').some((segment) => segment !== '**' && segment.includes('*'));
  return [
    ...(globs || pattern.endsWith('**/') ? ['wider-there' as const] : []),
    ...(literal === pattern ? [] : ['class' as const]),
  ];
}

const CLASS = /\[(!.|[^!])[^\]]*\]/g;

/** Whether OpenShell can compile a glob: `**` is a whole segment, and each `[` has an end. */
function compiles(pattern: string): boolean {
  const literal = pattern.replaceAll(CLASS, '[]');
  return (
    literal.split('/').every((segment) => !segment.includes('**') || segment === '**') &&
    !/\[(?!\])/.test(literal)
  );
}
