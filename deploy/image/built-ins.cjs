// Put in front of the bundle that becomes the start-up snapshot. Node cannot write the state of some of its own
// modules into a snapshot (http2 and http have handles that V8 does not serialise; the others are not verified).
// The bundle gets a stand-in for each, which loads the module at the first use after the start.
const {
  names: BUILT_IN_NAMES,
  deferred: DEFERRED_NAMES,
  constants: CONSTANTS,
} = JSON.parse(process.env.BUILT_INS);
const BUILT_IN = new Set(BUILT_IN_NAMES);
const DEFERRED = new Set(DEFERRED_NAMES);
// What a stand-in answers while the snapshot is written: no inspector can be open then.
const MEANWHILE = { inspector: { url: () => undefined } };
let started = false;
const nodeRequire = require;
nodeRequire('node:v8').startupSnapshot.addDeserializeCallback(() => {
  started = true;
});

/** Loads a module once: what a call needs of it must not be asked of node each time. */
function loaderOf(name) {
  let module;
  return () => {
    module ??= nodeRequire(`node:${name}`);
    return module;
  };
}

/** A member that was taken out of a module while the snapshot was written: `const { Worker } = require(...)`. */
function deferredMember(load, member) {
  const real = () => load()[member];
  return new Proxy(function deferred() {}, {
    apply: (_target, self, args) => Reflect.apply(real(), self, args),
    construct: (_target, args) => Reflect.construct(real(), args),
    get: (_target, key) => (started ? real()[key] : undefined),
  });
}

function deferredModule(name) {
  const known = { ...CONSTANTS[name], ...MEANWHILE[name] };
  const load = loaderOf(name);
  return new Proxy(
    {},
    {
      get(_target, member) {
        if (started) return load()[member];
        if (Object.hasOwn(known, member)) return known[member];
        return typeof member === 'symbol' || member === '__esModule' || member === 'default'
          ? undefined
          : deferredMember(load, member);
      },
    },
  );
}

const deferredModules = new Map();
/** The bundle's own `require`: every built-in is asked for through it. */
function bundleRequire(id) {
  const name = id.replace(/^node:/, '');
  if (!BUILT_IN.has(name)) return nodeRequire('node:module').createRequire(__filename)(id);
  if (!DEFERRED.has(name)) return nodeRequire(id);
  let module = deferredModules.get(name);
  if (module === undefined) {
    module = deferredModule(name);
    deferredModules.set(name, module);
  }
  return module;
}
// biome-ignore lint/suspicious/noGlobalAssign: it is no global but the parameter of the bundle's own wrapper.
require = bundleRequire;
