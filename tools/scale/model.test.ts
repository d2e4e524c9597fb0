import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { generator, INPUTS, nodesOf, simulateWaves, untilSync, watchesOf } from './model.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');

describe('a wave of rotations', () => {
  it('waits for kubelet half of a long period on average, and never longer than the longest', () => {
    const random = generator(7);
    const waits = Array.from({ length: 200_000 }, () => untilSync(random));
    // Of periods T between 60 and 90 s a random moment sees E[T²] / 2E[T] ahead of it.
    expect(waits.reduce((sum, wait) => sum + wait, 0) / waits.length).toBeCloseTo(38, 0);
    expect(Math.max(...waits.slice(0, 50_000))).toBeLessThan(90);
  });

  it('costs one event a node where the pods share a Secret, all of them in one second', () => {
    const wave = simulateWaves({ pods: 10_000, secrets: 'shared', workers: 1, qps: 50 }, 3);
    expect(wave).toMatchObject({ writes: 2, events: nodesOf(10_000) });
    expect(wave.peak).toBeGreaterThan(nodesOf(10_000));
    expect(wave.fromSecret.p99).toBeLessThan(90);
  });

  it('costs one event and two writes a pod where each has a Secret of its own', () => {
    const wave = simulateWaves({ pods: 1_000, secrets: 'own', workers: 1, qps: 50 }, 1);
    expect(wave).toMatchObject({ writes: 2_000, events: 1_000 });
    expect(wave.lastWrite).toBeLessThan(INPUTS.refreshSeconds + 1);
  });

  it('is late by what one worker, and then the rate limit, cannot carry', () => {
    const late = (workers: number, qps: number) =>
      simulateWaves({ pods: 10_000, secrets: 'own', workers, qps }, 1).lastWrite;
    expect(late(1, 50)).toBeCloseTo(10_000 * INPUTS.refreshWorkSeconds, -1);
    expect(late(10, 50)).toBeCloseTo((2 * 10_000 - INPUTS.esoBurst) / 50, -1);
    expect(late(10, 100)).toBeLessThan(INPUTS.refreshSeconds + 1);
  });

  it('is the same for the same seed alone', () => {
    const fleet = { pods: 500, secrets: 'own', workers: 2, qps: 50 } as const;
    expect(simulateWaves(fleet, 2, 5)).toEqual(simulateWaves(fleet, 2, 5));
    expect(simulateWaves(fleet, 2, 5)).not.toEqual(simulateWaves(fleet, 2, 6));
  });
});

it('counts a watch for each Secret that a kubelet has, and one for the ConfigMap', () => {
  expect(watchesOf({ pods: 90, secrets: 'shared' })).toBe(3 + 3);
  expect(watchesOf({ pods: 90, secrets: 'own' })).toBe(90 + 3);
});

it('takes its inputs from the manifests', () => {
  interface Probe {
    readonly periodSeconds: number;
  }
  interface Container {
    readonly name: string;
    readonly readinessProbe: Probe;
    readonly livenessProbe: Probe;
    readonly resources: { readonly requests: { readonly cpu: string; readonly memory: string } };
  }
  const file = (name: string) => parse(readFileSync(join(DEPLOY, name), 'utf8'));
  const containers: readonly Container[] = file('base/sandbox-template.yaml').spec.podTemplate.spec
    .initContainers;
  const sidecar = containers.find(({ name }) => name === 'secret-resolver');
  expect(sidecar?.resources.requests).toMatchObject({
    cpu: `${INPUTS.requestedCores * 1000}m`,
    memory: `${INPUTS.requestedMiB}Mi`,
  });
  const probes = [sidecar?.readinessProbe, sidecar?.livenessProbe];
  expect(probes.reduce((sum, probe) => sum + 1 / (probe?.periodSeconds ?? 0), 0)).toBeCloseTo(
    INPUTS.probesPerSecond,
  );
  expect(file('component/external-secret.yaml').spec.refreshInterval).toBe(`${INPUTS.refreshSeconds / 60}m`);
});
