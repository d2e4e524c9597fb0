/** What credentials look like, by the prefixes that their issuers give them. Finds where, never tells what. */

interface TokenShape {
  readonly name: string;
  readonly pattern: RegExp;
}

/** Long enough that a prefix named in a text is none. */
const SHAPES: readonly TokenShape[] = [
  { name: 'GitLab token', pattern: /\bgl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{20,}/g },
  { name: 'GitHub token', pattern: /\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})/g },
  { name: 'OpenAI or Anthropic key', pattern: /\bsk-[A-Za-z0-9_-]{20,}/g },
  { name: 'Slack token', pattern: /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g },
  { name: 'AWS access key', pattern: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  { name: 'Google API key', pattern: /\bAIza[A-Za-z0-9_-]{35}/g },
  { name: 'NVIDIA key', pattern: /\bnvapi-[A-Za-z0-9_-]{20,}/g },
  { name: 'npm token', pattern: /\bnpm_[A-Za-z0-9]{30,}/g },
  { name: 'PyPI token', pattern: /\bpypi-[A-Za-z0-9_-]{30,}/g },
  { name: 'Hugging Face token', pattern: /\bhf_[A-Za-z0-9]{30,}/g },
  { name: 'Vault token', pattern: /\bhv[bs]\.[A-Za-z0-9_-]{20,}/g },
  { name: 'JWT', pattern: /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g },
  { name: 'private key', pattern: /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/g },
];

/** A placeholder that wears a token's prefix, so that a client which checks the prefix takes it. */
const ALIAS_PLACEHOLDER = 'OPENSHELL-RESOLVE-ENV-';

/** One find. */
export interface TokenFind {
  /** `GitLab token`. */
  readonly shape: string;
  /** 1-based. */
  readonly line: number;
  readonly length: number;
}

/** Everything in a text that has the shape of a credential. */
export function findTokens(text: string): TokenFind[] {
  const found: TokenFind[] = [];
  for (const { name, pattern } of SHAPES) {
    for (const match of text.matchAll(pattern)) {
      if (match[0].includes(ALIAS_PLACEHOLDER)) continue;
      found.push({ shape: name, line: countLines(text, match.index), length: match[0].length });
    }
  }
  return found;
}

function countLines(text: string, end: number): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < end; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

/** `GitLab token, 26 characters`. */
export function describeFind({ shape, length }: TokenFind): string {
  return `${shape}, ${length} characters`;
}
