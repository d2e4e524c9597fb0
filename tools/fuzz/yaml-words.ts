/** What YAML is made of, and what makes a parser of it work hard. */
import { SECRET_WORD } from './planted.ts';

/**
 * Longest input of YAML, in bytes. In 64 KiB there is room for 96,000 mistakes, each an error of the library with a
 * stack of its own: that alone takes the second of CPU that is the limit. What grows faster than its input is
 * seen in 16 KiB too: 3 KB of aliases took minutes.
 */
export const MAX_YAML_BYTES = 16 * 1024;

export const YAML_WORDS: readonly string[] = [
  ...[
    ': ',
    ':\n  ',
    '- ',
    '\n- ',
    '\n  - ',
    '{',
    '}',
    '[',
    ']',
    ', ',
    '? ',
    '\n',
    '\n  ',
    '\n    ',
    '\t',
    ' ',
  ],
  ...[
    '"',
    "'",
    '|\n  ',
    '>-\n  ',
    '#',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '&a ',
    '*a',
    '<<: *a',
    '&a [*a, *a]',
    '!!set ',
  ],
  ...[
    '!!binary ',
    '!!str ',
    '!!int ',
    '!!float ',
    '!x ',
    '!<tag:yaml.org,2002:map> ',
    '~',
    'null',
    'true',
    'no',
    '0x1F',
  ],
  ...[
    '0o17',
    '.inf',
    '.nan',
    '1e999',
    '-0',
    '12345678901234567890',
    '2027-01-31',
    '__proto__',
    'constructor',
  ],
  ...[
    'toString',
    'hasOwnProperty',
    'prototype',
    '\\u0000',
    '\\x41',
    '\u2028',
    '\ufeff',
    '\u0000',
    '\u0085',
    'ü',
    '\ud83d\ude00',
  ],
  ...[
    SECRET_WORD,
    `${SECRET_WORD}: `,
    `"${SECRET_WORD}"`,
    `*${SECRET_WORD}`,
    `&${SECRET_WORD} `,
    `!${SECRET_WORD} `,
  ],
  ...['[[[[[[[[', '{a: {a: {a: {a: ', '- - - - - - ', '? ? ? ', '&b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n', '"\\\n'],
];
