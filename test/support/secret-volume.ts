export { type SecretData, SecretVolume } from '../../src/commands/demo/secret-volume.ts';
