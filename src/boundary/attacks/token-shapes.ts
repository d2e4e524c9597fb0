/** What credentials look like, by the prefixes that their issuers give them. Finds where, never tells what. */

/** Long enough that a prefix named in a text is none. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  'GitLab token': /\bgl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{20,}/g,
  'GitHub token': /\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})/g,
  'OpenAI or Anthropic key': /\bsk-[A-Za-z0-9_-]{20,}/g,
  'Slack token': /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g,
  'AWS access key': /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  'Google API key': /\bAIza[A-Za-z0-9_-]{35}/g,
  'NVIDIA key': /\bnvapi-[A-Za-z0-9_-]{20,}/g,
  'npm token': /\bnpm_[A-Za-z0-9]{30,}/g,
  'PyPI token': /\bpypi-[A-Za-z0-9_-]{30,}/g,
  'Hugging Face token': /\bhf_[A-Za-z0-9]{30,}/g,
  'Vault token': /\bhv[bs]\.[A-Za-z0-9_-]{20,}/g,
  JWT: /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g,
  'private key': /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/g,
};

/** A placeholder that wears a token's prefix, so that a client which checks the prefix takes it. */
const ALIAS_PLACEHOLDER = 'OPENSHELL-RESOLVE-ENV-';

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
  for (const [shape, pattern] of Object.entries(SHAPES)) {
    for (const match of text.matchAll(pattern)) {
      if (match[0].includes(ALIAS_PLACEHOLDER)) continue;
      found.push({ shape, line: text.slice(0, match.index).split('\n').length, length: match[0].length });
    }
  }
  return found;
}

/** `GitLab token, 26 characters`. */
export function describeFind({ shape, length }: TokenFind): string {
  return `${shape}, ${length} characters`;
}
