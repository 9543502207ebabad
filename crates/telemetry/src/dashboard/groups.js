// What the picture of links shows: actors on the left, providers on the right, and links between them.
//
// A thousand actors do not fit. Those with the same links in the same states stand together as one group; those that fail, or
// whose links are refused, stand alone and come first. A selected actor or provider is shown with its neighbours only.

import { RANK, entityStanding, linkStanding } from './standing.js';
import { clean, plural, short } from './text.js';

const ALONE_LIMIT = 12;
const GROUPS_LIMIT = 10;
const PROVIDERS_LIMIT = 16;

/**
 * Returns `{ left, right, edges, unlinked, refused }`. Nodes are `{ id, title, note, level, keys, alone }`; edges are
 * `{ from, to, state, count }`.
 */
export function picture(store, focus, now) {
  const byActor = linksByActor(store, focus);
  const alone = [];
  const groups = new Map();
  for (const [id, links] of byActor) {
    const member = describe(store, id, links, now);
    if (id === focus || RANK[member.level] <= RANK.warning) alone.push(member);
    else join(groups, member);
  }
  alone.sort(
    (a, b) => Number(b.id === focus) - Number(a.id === focus) || RANK[a.level] - RANK[b.level] || compare(a.title, b.title),
  );
  // Those that do not fit stand with others that are linked and refused alike.
  for (const member of alone.splice(ALONE_LIMIT)) join(groups, member);
  const left = [...alone, ...leadingGroups(groups)].map(finished);
  const targets = targetsOf(store, left, focus, now);
  return {
    left: left.map((node) => node.shown),
    right: targets.nodes,
    edges: edgesOf(left, targets.nodeOf),
    unlinked: focus === null ? [...store.actors.keys()].filter((id) => !byActor.has(id)).length : 0,
    refused: [...store.links.values()].filter((link) => link.state === 'refused').length,
  };
}

// The links of each actor. With a provider in focus, of the actors that are linked to it, and only those to it.
function linksByActor(store, focus) {
  const byActor = new Map();
  const provider = focus !== null && !store.actors.has(focus) ? focus : null;
  for (const link of store.links.values()) {
    if (provider !== null ? targetOf(link) !== provider : focus !== null && link.actor !== focus) continue;
    if (!byActor.has(link.actor)) byActor.set(link.actor, []);
    byActor.get(link.actor).push(link);
  }
  return byActor;
}

function describe(store, id, links, now) {
  const actor = store.actors.get(id);
  const level = worst([actor ? entityStanding(actor, now).level : 'ok', ...links.map((link) => linkStanding(link).level)]);
  const signature = links
    .map((link) => `${targetOf(link)} ${link.state}`)
    .sort()
    .join('\n');
  const refused = links.filter((link) => link.state === 'refused').length;
  const standing = actor ? entityStanding(actor, now) : { kind: 'absent', word: 'does not run here' };
  const word = standing.kind === 'refused' ? 'running' : standing.word;
  const note = refused > 0 ? `${word} · ${plural(refused, 'link')} refused` : word;
  return { id, keys: [id], title: store.nameOf(id), note, level, links, signature };
}

function join(groups, member) {
  const group = groups.get(member.signature);
  if (group) group.members.push(member);
  else groups.set(member.signature, { members: [member] });
}

// The largest groups; the rest of them together.
function leadingGroups(groups) {
  const sized = [...groups.values()].sort(
    (a, b) => b.members.length - a.members.length || compare(a.members[0].title, b.members[0].title),
  );
  const rest = sized.splice(GROUPS_LIMIT);
  if (rest.length > 0) sized.push({ members: rest.flatMap((group) => group.members), mixed: true });
  return sized.map((group) => {
    const first = group.members[0];
    if (group.members.length === 1) return first;
    return {
      id: `group ${group.mixed ? 'others' : first.signature}`,
      keys: group.members.map((member) => member.id),
      title: plural(group.members.length, group.mixed ? 'other actor' : 'actor'),
      note:
        group.members
          .slice(0, 3)
          .map((member) => member.title)
          .join(', ') + (group.members.length > 3 ? ', …' : ''),
      level: worst(group.members.map((member) => member.level)),
      links: group.members.flatMap((member) => member.links),
    };
  });
}

function finished(node) {
  const { id, keys, title, note, level } = node;
  return { ...node, shown: { id, keys, title, note, level, alone: keys.length === 1 } };
}

// The providers that links lead to, in the order of the middle of their actors, so that few links cross. With nothing in
// focus, those without links too.
function targetsOf(store, left, focus, now) {
  const middles = new Map();
  left.forEach((node, at) => {
    for (const link of node.links) {
      const target = targetOf(link);
      const middle = middles.get(target) ?? { sum: 0, count: 0, link };
      middle.sum += at;
      middle.count += 1;
      middles.set(target, middle);
    }
  });
  if (focus === null) {
    for (const key of store.providers.keys()) if (!middles.has(key)) middles.set(key, { sum: left.length, count: 1, link: null });
  }
  const order = [...middles].sort(([a, x], [b, y]) => x.sum / x.count - y.sum / y.count || compare(a, b));
  return folded(order.map(([key, middle]) => providerNode(store, key, middle.link, now)));
}

function folded(nodes) {
  const nodeOf = new Map(nodes.map((node) => [node.id, node.id]));
  if (nodes.length <= PROVIDERS_LIMIT) return { nodes, nodeOf };
  const rest = nodes.splice(PROVIDERS_LIMIT);
  for (const node of rest) nodeOf.set(node.id, 'other providers');
  nodes.push({
    id: 'other providers',
    keys: rest.map((node) => node.id),
    title: `${rest.length} other providers`,
    note: rest
      .slice(0, 3)
      .map((node) => node.title)
      .join(', '),
    level: worst(rest.map((node) => node.level)),
    alone: false,
  });
  return { nodes, nodeOf };
}

function providerNode(store, key, link, now) {
  const provider = store.providers.get(key);
  if (!provider)
    return {
      id: key,
      keys: [key],
      title: short(key),
      note: `does not run here · ${clean(link?.contract_id, 40)}`,
      level: 'change',
      alone: true,
      absent: true,
    };
  const standing = entityStanding(provider, now);
  const word = standing.level === 'ok' ? '' : `${standing.word} · `;
  return {
    id: key,
    keys: [key],
    title: provider.label,
    note: word + clean(provider.contract_id, 40),
    level: standing.level,
    alone: true,
  };
}

function edgesOf(left, nodeOf) {
  const edges = new Map();
  for (const node of left) {
    for (const link of node.links) {
      const to = nodeOf.get(targetOf(link));
      const key = `${node.id}\n${to}\n${link.state}`;
      const edge = edges.get(key);
      if (edge) edge.count += 1;
      else edges.set(key, { from: node.id, to, state: link.state, count: 1 });
    }
  }
  // Refused links are drawn last, above the others.
  return [...edges.values()].sort((a, b) => RANK[linkStanding(b).level] - RANK[linkStanding(a).level]);
}

/** Returns the key of the provider that a link leads to. */
export function targetOf(link) {
  return `${link.provider}/${link.link_name}`;
}

function worst(levels) {
  return levels.reduce((worse, level) => (RANK[level] < RANK[worse] ? level : worse), 'ok');
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
