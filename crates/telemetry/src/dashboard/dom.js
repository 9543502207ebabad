// Builds and changes elements. Text reaches the page as text nodes only, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

/** Returns the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Builds an element from attributes and children (elements or text). */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Builds an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Builds an icon from the symbols in the page. Icons stand beside words, so screen readers skip them. */
export function icon(name) {
  return svg('svg', { class: 'icon', 'aria-hidden': 'true' }, svg('use', { href: `#icon-${name}` }));
}

/** Changes the icon that `icon` has built. */
export function setIcon(node, name) {
  setAttribute(node.firstChild, 'href', `#icon-${name}`);
}

/** Sets the text of an element that holds nothing else, if it differs. */
export function setText(node, text) {
  const value = String(text);
  const first = node.firstChild;
  if (first === null) node.append(value);
  else if (first.data !== value) first.data = value;
}

/** Sets an attribute if it differs; `null` removes it. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}
