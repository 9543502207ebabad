"""Computes the contrast of all texts of a page with what is behind them."""

# Text that is large needs a contrast of 3, other text one of 4.5 (WCAG 2.2, 1.4.3). Colours behind each other are mixed by
# their opacity; a text that is not on the screen, or hidden by what it scrolls in, is left out.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((at) => front[at] * front[3] + back[at] * (1 - front[3])).concat(1);
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const backs = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const poor = [];
  let checked = 0;
  let least = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (text === '' || !node.checkVisibility() || node.closest('.hidden-text, noscript, script, .skip')) continue;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) continue;
    const back = node.closest('svg') ? parse(getComputedStyle(node.closest('.panel')).backgroundColor) : backs(node);
    const colour = over(parse(node.closest('svg') ? style.fill : style.color), back);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = ratio(colour, back);
    checked += 1;
    least = Math.min(least, found);
    if (found < (large ? 3 : 4.5)) poor.push(`${found.toFixed(2)} ${node.className} ${text.slice(0, 40)}`);
  }
  return { poor, checked, least };
})()"""
