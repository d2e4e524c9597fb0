/** What OpenShell refuses in the rules of an MCP endpoint, and in rules of MCP at other endpoints. */
import type { OpenShellEndpoint, OpenShellRule } from './openshell-schema.ts';

type Path = readonly PropertyKey[];
type Report = (path: Path, message: string, hint: string) => void;
type Matcher = NonNullable<OpenShellRule['tool']>;

interface Settings {
  readonly allMethods: boolean;
  readonly strict: boolean;
}

export function lintMcp(endpoint: OpenShellEndpoint, path: Path, report: Report): void {
  const allowed = (endpoint.rules ?? []).map(({ allow }, index) => ({
    rule: allow ?? undefined,
    at: [...path, 'rules', index, 'allow'],
  }));
  const denied = (endpoint.deny_rules ?? []).map((rule, index) => ({
    rule,
    at: [...path, 'deny_rules', index],
  }));
  if (endpoint.protocol !== 'mcp') {
    if (endpoint.mcp) report([...path, 'mcp'], 'has a meaning for protocol mcp only', 'remove it');
    for (const { rule, at } of [...allowed, ...denied]) {
      if (rule?.tool) report([...at, 'tool'], 'has a meaning for protocol mcp only', 'remove it');
      if (Object.keys(rule?.params ?? {}).length > 0)
        report([...at, 'params'], 'has a meaning for protocol mcp only', 'remove it');
    }
    return;
  }
  const settings = {
    allMethods: endpoint.mcp?.allow_all_known_mcp_methods === true,
    strict: endpoint.mcp?.strict_tool_names !== false,
  };
  for (const { rule, at } of [...allowed, ...denied]) if (rule) lintRule(rule, settings, at, report);
  if (!allowed.some(({ rule }) => rule !== undefined && selectsTool(rule))) return;
  const hint = 'add tool to narrow it, or remove the rules with tool';
  for (const { rule, at } of allowed) {
    const all =
      rule === undefined || rule.method === '' ? settings.allMethods : matchesToolsCall(rule.method);
    if (all && !(rule && selectsTool(rule)))
      report(at, 'allows every tool, which undoes the rules with tool', hint);
  }
  for (const { rule, at } of denied)
    if (!selectsTool(rule) && matchesToolsCall(rule.method))
      report(at, 'denies every tool, which undoes the rules with tool', hint);
}

function selectsTool(rule: OpenShellRule): boolean {
  return Boolean(rule.tool) || Object.hasOwn(rule.params, 'name');
}

function lintRule(rule: OpenShellRule, { allMethods, strict }: Settings, at: Path, report: Report): void {
  const { method, tool, params } = rule;
  const name = Object.hasOwn(params, 'name') ? params.name : undefined;
  if (tool && name) report(at, 'has both tool and params.name', 'keep one of the two');
  if (selectsTool(rule) && method !== '' && method !== 'tools/call')
    report(
      [...at, 'method'],
      'must be tools/call beside tool or params.name',
      'write tools/call, or remove it',
    );
  if (method === '' && !allMethods)
    report(at, 'needs a method', 'add method, or set mcp.allow_all_known_mcp_methods: true');
  if (/[*?[{]/.test(method) && !method.startsWith('tools/'))
    report([...at, 'method'], 'may be a glob below tools/ only', 'write one method, or remove it');
  if (rule.path !== '' || Object.keys(rule.query).length > 0)
    report(at, 'must use method and tool, not path and query', 'remove path and query');
  for (const key of Object.keys(params))
    if (key !== 'name') report([...at, 'params', key], 'cannot be matched; only name can', 'remove it');
  if (tool) lintMatcher(tool, strict, [...at, 'tool'], report);
  if (name) lintMatcher(name, strict, [...at, 'params', 'name'], report);
}

function lintMatcher({ glob, any }: Matcher, strict: boolean, at: Path, report: Report): void {
  if (glob !== '' && any.length > 0) report(at, 'has both glob and any', 'keep one of the two');
  if (glob === '' && any.length === 0) report(at, 'has neither glob nor any', 'write one of the two');
  if (!strict && [glob, ...any].some((each) => /[*?[{]/.test(each)))
    report(at, 'may be a glob only while mcp.strict_tool_names is true', 'write whole names');
}

/** Methods that are a glob are read as one of a single segment, as far as they could match this method. */
function matchesToolsCall(method: string): boolean {
  if (method === '*' || method === 'tools/call') return true;
  const pattern = method
    .replace(/[.+^$()|\\{}]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  try {
    return new RegExp(`^${pattern.replaceAll('[!', '[^')}$`).test('tools/call');
  } catch {
    return false;
  }
}
