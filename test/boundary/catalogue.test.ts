import { describe, expect, it } from 'vitest';
import { ATTACKS, CHECKS, CONTROLS, RULES } from '../../src/boundary/catalogue.ts';
import { generatedFiles } from '../../tools/generate/files.ts';
import { staleControls } from '../support/check-generated.ts';

describe('the catalogue', () => {
  it.each(CONTROLS)(
    '$id has a threat and a promise, each a sentence, and something that holds it',
    (control) => {
      const { id, threat, promise, check, rule, expression, attacks } = control;
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      for (const sentence of [threat, promise]) expect(sentence).toMatch(/^[A-Z/].*\.$/);
      expect([check, rule, expression, attacks].filter((part) => part !== undefined)).not.toEqual([]);
    },
  );

  it('gives no id twice', () => {
    for (const list of [CONTROLS, CHECKS, RULES, ATTACKS] as readonly (readonly { id: string }[])[]) {
      const ids = list.map(({ id }) => id);
      expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
    }
  });

  it('makes what disturbs the listener last', () => {
    expect(ATTACKS.at(-1)?.id).toBe('backlog');
  });
});

describe('what is generated from it', () => {
  it('is current, and a stale file is found', () => {
    expect(staleControls()).toEqual([]);
    const [[policy, text = ''] = ['']] = generatedFiles();
    const planted = new Map([[policy, text.replace('NET_BIND_SERVICE', 'NET_RAW')]]);
    expect(staleControls(planted)).toEqual([`${policy}: is out of date`]);
  });

  it('has every control in the reference, and every check that is enforced in SECURITY.md', () => {
    const files = generatedFiles();
    for (const { id } of CONTROLS) expect(files.get('docs/reference/controls.md')).toContain(`\n### ${id}\n`);
    for (const { id } of CHECKS) expect(files.get('SECURITY.md')).toContain(`\`${id}\``);
  });
});
