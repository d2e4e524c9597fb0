export { type SecretData, SecretVolume } from '../../examples/demo/secret-volume.ts';
