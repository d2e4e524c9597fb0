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
