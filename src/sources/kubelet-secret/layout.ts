/** What kubelet's atomic writer leaves in a volume: `..data`, which leads to the folder of one generation. */
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { throwShortage } from '../../domain/errors.ts';
import type { Layout } from '../source.ts';

/** Kubelet's name for a generation: `..2026_11_23_17_12_00.123456789`. */
const GENERATION = /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/;

export function kubeletLayout(directory: string): Layout {
  const link = dataLink(directory);
  if (link === undefined) return { generation: undefined, fault: 'has no ..data link' };
  const generation = /^\.\.[^/]+$/.test(link) ? join(directory, link) : undefined;
  return GENERATION.test(link)
    ? { generation }
    : { generation, fault: 'has a ..data link that no kubelet made' };
}

/** Target of `..data`; undefined where there is no such link. */
function dataLink(directory: string): string | undefined {
  try {
    return readlinkSync(join(directory, '..data'));
  } catch (error) {
    throwShortage(error);
    return undefined;
  }
}
