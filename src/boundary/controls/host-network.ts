import type { Control } from '../control.ts';

export const hostNetwork: Control = {
  id: 'host-network',
  group: 'socket',
  severity: 'enforce',
  threat:
    "On the node's network every process of the node and every pod reaches the ports of the resolver, and two pods of a node take each other's.",
  promise: 'The pod has a network of its own.',
  rule: {
    remedy: 'Take out hostNetwork.',
    *find({ pod }) {
      if (pod.spec.hostNetwork === true) yield { path: ['hostNetwork'], message: 'hostNetwork is true' };
    },
  },
  expression: {
    cel: '!object.spec.?hostNetwork.orValue(false)',
    message: "hostNetwork puts the ports of the resolver on the node's network",
  },
};
