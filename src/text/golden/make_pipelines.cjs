// Writes pipelines.json: small tokenizer.json files of every shape, and what Hugging Face tokenizers (Rust, through
// its npm package `tokenizers`) makes of texts with them.
//   node make_pipelines.cjs MODULE
// MODULE is the folder of the package (0.23.2 made the file beside this one).
const fs = require('fs');
const path = require('path');
const { Tokenizer } = require(path.resolve(process.argv[2]));

const M = '\u2581';
const TEXTS = [
  '', ' ', 'a', 'Hello world', '  two  blanks ', 'Hello, World! 12 345', 'tab\tand\nline\r\nend\n', 'caf\u00e9 cafe\u0301 \u00c5ngstr\u00f6m',
  '\u5317\u4eac\u662f\u4e2d\u56fd\u7684\u9996\u90fd\u3002', 'mixed \u4f60\u597d text', '\ufb01ne \u2460\u2461 \uff21\uff22\uff23 \u00bd', 'nbsp\u00a0here\u3000wide', '\ud83d\ude00 emoji \ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67',
  '<s>inside</s> <mask> x', 'a<mask>b  <mask>  c', 'catalogue cat concat cat', "it's don't WE'LL", '\u0130stanbul \u03a3\u03a3', 'zero\u200bwidth\ufeffbom\u00ad',
  '``quoted\'\' text', 'A.B,C;D-E_F', '\uac00\ub098\ub2e4 \u1112\u1161\u11ab', 'e\u0323\u0302 \u1ec7', '\u0928\u092e\u0938\u094d\u0924\u0947', 'x\u0001y\u007fz\u0085w', M + 'already' + M + 'marked', '\u00e9', ' \u00e9', 'unknown \u2603\u2603 signs \u2603',
];
const PAIRS = [['Hello world', 'cat text'], ['', 'a'], ['a', ''], ['caf\u00e9 Hello world cat', '\u4f60\u597d text a b']];

// A double array trie as darts-clone lays it out, behind its size and before the texts with a NUL each.
function charsmap(map) {
  const keys = Object.keys(map).map((k) => [Buffer.from(k), map[k]]).sort((a, b) => Buffer.compare(a[0], b[0]));
  let texts = Buffer.alloc(0);
  const units = new Array(256).fill(null);
  const grow = (n) => { while (units.length <= n) for (let i = 0; i < 256; ++i) units.push(null); };
  units[0] = { label: 0 };
  const place = (at, rows, depth) => {
    const children = new Map();
    let leaf = null;
    for (const row of rows) {
      if (row[0].length === depth) leaf = row; else {
        const b = row[0][depth];
        if (!children.has(b)) children.set(b, []);
        children.get(b).push(row);
      }
    }
    const labels = [...children.keys()];
    if (leaf) labels.push(0);
    for (let base = 1; ; ++base) {
      grow(base | 255);
      if (!labels.every((l) => units[base ^ l] === null)) continue;
      units[at].offset = base ^ at;
      units[at].leaf = leaf !== null;
      if (leaf) {
        units[base] = { value: texts.length };
        texts = Buffer.concat([texts, Buffer.from(leaf[1] + '\0')]);
      }
      for (const b of children.keys()) units[base ^ b] = { label: b };
      for (const [b, list] of children) place(base ^ b, list, depth + 1);
      return;
    }
  };
  place(0, keys, 0);
  const out = Buffer.alloc(4 + 4 * units.length);
  out.writeUInt32LE(4 * units.length, 0);
  units.forEach((u, i) => {
    let bits = 0;
    if (u && u.value !== undefined) bits = (0x80000000 | u.value) >>> 0;
    else if (u) bits = (((u.offset || 0) << 10) | (u.leaf ? 256 : 0) | u.label) >>> 0;
    out.writeUInt32LE(bits, 4 + 4 * i);
  });
  return Buffer.concat([out, texts]).toString('base64');
}
const MAP = charsmap({ '\ufb01': 'fi', '\u2460': '1', '\u2461': '2', '\uff21': 'A', '\uff22': 'B', '\u00a0': ' ', '\u3000': ' ', '\t': ' ', '\n': ' ', '\u0001': '', 'e\u0301': '\u00e9', '\u00bd': '1\u20442', '\u200b': ' ' });

const added = (id, content, more = {}) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });
const template = (single, pair, ids) => ({
  type: 'TemplateProcessing', single, pair,
  special_tokens: Object.fromEntries(Object.entries(ids).map(([k, v]) => [k, { id: k, ids: [v], tokens: [k] }])),
});
const sp = (id, type_id = 0) => ({ SpecialToken: { id, type_id } });
const seq = (id, type_id = 0) => ({ Sequence: { id, type_id } });
const full = (parts) => ({ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...parts });

// Unigram: words and characters with made-up probabilities.
function unigram(bytes = false) {
  const vocab = [['<s>', 0], ['<pad>', 0], ['</s>', 0], ['<unk>', 0]];
  const words = ['Hello', M + 'Hello', M + 'world', 'wor', 'ld', M + 'cat', 'cat', 'con', M + 'con', 'alogue', M, M + M, M + 'te', 'xt', M + 'text', 'caf', '\u00e9', M + '\u4f60\u597d', '\u5317\u4eac', '\u4e2d\u56fd', 'the', 'in', 'side', 'mixed', 'bl', 'an', 'ks', '12', '345', '1', 'fi', 'ne', "'s", "n't", 'al', 'ready'];
  words.forEach((w, i) => vocab.push([w, -3 - (i * 7 % 11) * 0.31]));
  for (const c of 'abcdefghijklmnopqrstuvwxyzABCDEHLW02345,.!;-_\u4f60\u597d\u662f') vocab.push([c, -7 - (c.codePointAt(0) % 13) * 0.17]);
  if (bytes) for (let b = 0; b < 256; ++b) vocab.push(['<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>', -20]);
  return { type: 'Unigram', unk_id: 3, vocab, byte_fallback: bytes };
}

const byteAlphabet = (() => {
  const out = [];
  let extra = 256;
  for (let b = 0; b < 256; ++b) out.push(String.fromCodePoint((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : extra++));
  return out;
})();
function bpe(first, merges, more = {}) {
  const vocab = {};
  let n = 0;
  for (const t of [...first, ...merges.map(([a, b]) => a + b)]) if (!(t in vocab)) vocab[t] = n++;
  return { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges, ...more };
}
const BYTE_MERGES = [['h', 'e'], ['l', 'l'], ['\u0120', 'w'], ['o', 'r'], ['ll', 'o'], ['\u0120w', 'or'], ['c', 'a'], ['ca', 't'], ['\u0120', 'cat'], ['\u0120', '\u0120'], ['\u00e4', '\u00bd'], ['\u00e4\u00bd', '\u0142'], ['l', 'd'], ['\u0120wor', 'ld'], ['1', '2'], ['\u00c3', '\u00a9'], ['t', 'e']];
const byteBpe = (specials, more) => bpe([...specials, ...byteAlphabet], BYTE_MERGES, more);
const CHARS = [...new Set(M + 'abcdefghijklmnopqrstuvwxyzHWEL ,.!0123456789\u4f60\u597d\u00e9')];
const bytePieces = [...Array(256).keys()].map((b) => '<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>');
const CHAR_MERGES = [['l', 'o'], ['e', 'l'], ['el', 'lo'], ['H', 'ello'], [M, 'Hello'], [M, 'w'], ['o', 'r'], [M + 'w', 'or'], ['l', 'd'], [M + 'wor', 'ld'], ['c', 'a'], ['ca', 't'], [M, 'cat'], [M, M], ['\u4f60', '\u597d'], ['t', 'e'], ['lo', 'g']];
const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'hello', 'world', 'Hello', 'World', 'cat', '##alogue', 'con', '##cat', 'cafe', 'caf\u00e9', 'a', 'b', '##b', '12', '345', '3', '##4', '##5', 'text', 'te', '##x', '##t', '\u5317', '\u4eac', '\u4f60', '\u597d', '.', ',', '!', "'", 's', 'it', 'don', 't', '-', '##a', 'istanbul', 'i', '##\u0307', '##stanbul', '\u03c3\u03c3', '##z', 'x', 'y', 'two', 'end', 'line', '\u00e9', '##\u00e9', 'e'];
const wordpiece = (more = {}) => ({ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab: Object.fromEntries(WORDS.map((w, i) => [w, i])), ...more });
const BERT_ADDED = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].map((t, i) => added(i, t));
const bertNorm = (more = {}) => ({ type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true, ...more });
const metaspace = (more = {}) => ({ type: 'Metaspace', replacement: M, prepend_scheme: 'always', split: true, ...more });
const byteLevel = (more = {}) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true, ...more });
const split = (pattern, behavior, invert = false) => ({ type: 'Split', pattern, behavior, invert });
const SPM_ADDED = [added(0, '<s>'), added(1, '<pad>'), added(2, '</s>'), added(3, '<unk>')];

const PIPELINES = {
  'unigram as XLM-R': full({
    added_tokens: [...SPM_ADDED, added(200, '<mask>', { lstrip: true })],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Precompiled', precompiled_charsmap: MAP }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace()] },
    post_processor: template([sp('<s>'), seq('A'), sp('</s>')], [sp('<s>'), seq('A'), sp('</s>'), sp('</s>'), seq('B'), sp('</s>')], { '<s>': 0, '</s>': 2 }),
    decoder: metaspace(), model: unigram(),
  }),
  'unigram as T5': full({
    added_tokens: [...SPM_ADDED, added(200, '<mask>', { rstrip: true })],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Precompiled', precompiled_charsmap: MAP }, { type: 'Strip', strip_left: false, strip_right: true }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: M }] },
    pre_tokenizer: metaspace(),
    post_processor: template([seq('A'), sp('</s>')], [seq('A'), sp('</s>'), seq('B'), sp('</s>')], { '</s>': 2 }),
    decoder: metaspace(), model: unigram(),
  }),
  'unigram as ALBERT': full({
    added_tokens: SPM_ADDED,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { String: '``' }, content: '"' }, { type: 'Replace', pattern: { String: "''" }, content: '"' }, { type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Lowercase' }, { type: 'Precompiled', precompiled_charsmap: MAP }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: { type: 'Metaspace', replacement: M, add_prefix_space: true },
    post_processor: template([sp('<s>'), seq('A'), sp('</s>')], [sp('<s>'), seq('A'), sp('</s>'), seq('B', 1), sp('</s>', 1)], { '<s>': 0, '</s>': 2 }),
    decoder: { type: 'Metaspace', replacement: M, add_prefix_space: true }, model: unigram(),
  }),
  'unigram with bytes, Nmt and NFKC': full({
    added_tokens: SPM_ADDED,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Nmt' }, { type: 'NFKC' }, { type: 'Prepend', prepend: M }, { type: 'Replace', pattern: { String: ' ' }, content: M }] },
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: M }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    model: unigram(true),
  }),
  'byte-level BPE as RoBERTa': full({
    added_tokens: [added(0, '<s>'), added(1, '<pad>'), added(2, '</s>'), added(3, '<unk>'), added(4, '<mask>', { lstrip: true })],
    pre_tokenizer: byteLevel({ add_prefix_space: true }),
    post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0], trim_offsets: true, add_prefix_space: true },
    decoder: byteLevel({ add_prefix_space: true }), model: byteBpe(['<s>', '<pad>', '</s>', '<unk>', '<mask>']),
  }),
  'byte-level BPE as Llama-3, cut and padded': full({
    truncation: { direction: 'Left', max_length: 9, strategy: 'LongestFirst', stride: 2 },
    padding: { strategy: { Fixed: 11 }, direction: 'Left', pad_to_multiple_of: 4, pad_id: 1, pad_type_id: 0, pad_token: '<pad>' },
    added_tokens: [added(0, '<s>'), added(1, '<pad>'), added(2, '</s>')],
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split({ Regex: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }, 'Isolated'), byteLevel({ use_regex: false })] },
    post_processor: { type: 'Sequence', processors: [byteLevel(), template([sp('<s>'), seq('A')], [sp('<s>'), seq('A'), sp('<s>', 1), seq('B', 1)], { '<s>': 0 })] },
    decoder: byteLevel(), model: byteBpe(['<s>', '<pad>', '</s>'], { ignore_merges: true }),
  }),
  'byte-level BPE with NFC and digits': full({
    added_tokens: [added(0, '<s>', { normalized: true, special: false })],
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel()] },
    post_processor: byteLevel({ trim_offsets: false }), decoder: byteLevel(), model: byteBpe(['<s>']),
  }),
  'BPE of characters as Gemma': full({
    added_tokens: [added(0, '<s>'), added(1, '<unk>')],
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: M },
    pre_tokenizer: split({ String: ' ' }, 'MergedWithPrevious'),
    post_processor: template([sp('<s>'), seq('A')], [sp('<s>'), seq('A'), sp('<s>', 1), seq('B', 1)], { '<s>': 0 }),
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: M }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }] },
    model: bpe(['<s>', '<unk>', ...bytePieces, ...CHARS], CHAR_MERGES, { unk_token: '<unk>', fuse_unk: true, byte_fallback: true }),
  }),
  'BPE of characters, Metaspace first': full({
    added_tokens: [added(0, '<s>'), added(1, '<unk>')],
    pre_tokenizer: metaspace({ prepend_scheme: 'first', split: false }),
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: M }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    model: bpe(['<s>', '<unk>', ...CHARS], CHAR_MERGES, { unk_token: '<unk>', fuse_unk: true }),
  }),
  'WordPiece with accents and odd added tokens': full({
    truncation: { direction: 'Right', max_length: 8, strategy: 'LongestFirst', stride: 0 },
    added_tokens: [...BERT_ADDED, added(5, 'cat', { special: false, single_word: true, normalized: true }), added(60, '<mask>', { lstrip: true, rstrip: true, special: false }), added(61, 'two', { normalized: true, special: false })],
    normalizer: bertNorm({ strip_accents: false }),
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true }, model: wordpiece(),
  }),
  'WordPiece cased, short words': full({
    padding: { strategy: 'BatchLongest', direction: 'Right', pad_to_multiple_of: 8, pad_id: 0, pad_type_id: 1, pad_token: '[PAD]' },
    added_tokens: BERT_ADDED, normalizer: bertNorm({ lowercase: false, handle_chinese_chars: false }),
    pre_tokenizer: { type: 'BertPreTokenizer' }, decoder: { type: 'WordPiece', prefix: '##', cleanup: false }, model: wordpiece({ max_input_chars_per_word: 5 }),
  }),
};
// Pre-tokenisers by themselves: every word is unknown, so the offsets are the words.
const CUTS = {
  Punctuation: { type: 'Punctuation', behavior: 'MergedWithPrevious' },
  'Punctuation isolated': { type: 'Punctuation' },
  Whitespace: { type: 'Whitespace' },
  Digits: { type: 'Digits', individual_digits: false },
  CharDelimiterSplit: { type: 'CharDelimiterSplit', delimiter: 'l' },
  'Split removed': split({ Regex: '\\s+' }, 'Removed'),
  'Split contiguous': split({ String: 'l' }, 'Contiguous'),
  'Split with next': split({ Regex: '[ l]' }, 'MergedWithNext'),
  'Split with previous, inverted': split({ Regex: '[a-z]+' }, 'MergedWithPrevious', true),
};
for (const [name, cut] of Object.entries(CUTS))
  PIPELINES['cut by ' + name] = full({ added_tokens: [added(0, '[UNK]')], pre_tokenizer: cut, decoder: { type: 'WordPiece', prefix: '##', cleanup: true }, model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab: { '[UNK]': 0 } } });
const NORMS = {
  NFD: { type: 'NFD' }, NFKD: { type: 'NFKD' }, StripAccents: { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] },
  Nmt: { type: 'Nmt' }, Strip: { type: 'Strip', strip_left: true, strip_right: true }, Bert: bertNorm(),
};
for (const [name, norm] of Object.entries(NORMS))
  PIPELINES['normalised by ' + name] = full({ normalizer: norm, pre_tokenizer: byteLevel({ use_regex: false }), post_processor: byteLevel({ trim_offsets: false }), decoder: byteLevel(), model: bpe(byteAlphabet, []) });

// The library numbers added tokens itself: those of the vocabulary as there, the others behind it.
for (const { added_tokens, model } of Object.values(PIPELINES)) {
  const vocab = Array.isArray(model.vocab) ? Object.fromEntries(model.vocab.map(([t], i) => [t, i])) : model.vocab;
  let next = Object.keys(vocab).length;
  for (const token of added_tokens) token.id = token.content in vocab ? vocab[token.content] : next++;
}

async function main() {
  const out = [];
  for (const [name, json] of Object.entries(PIPELINES)) {
    const t = Tokenizer.fromString(JSON.stringify(json));
    const one = async (a, b) => {
      const e = await t.encode(a, b, { addSpecialTokens: true });
      const row = { ids: e.getIds(), offsets: e.getOffsets().flat() };
      if (b !== null) row.type_ids = e.getTypeIds();
      if (json.padding) row.attention = e.getAttentionMask();
      row.decoded = await t.decode(e.getIds(), true);
      return row;
    };
    const cases = [], pairs = [];
    for (const text of TEXTS) cases.push(await one(text, null));
    for (const [a, b] of PAIRS) pairs.push(await one(a, b));
    out.push({ name, json, cases, pairs });
  }
  const lines = out.map((p) => '{"name":' + JSON.stringify(p.name) + ',"tokenizer":' + JSON.stringify(p.json) + ',\n"cases":[\n' + p.cases.map((c) => JSON.stringify(c)).join(',\n') + '],\n"pairs":[\n' + p.pairs.map((c) => JSON.stringify(c)).join(',\n') + ']}');
  fs.writeFileSync(path.join(__dirname, 'pipelines.json'), '{"texts":' + JSON.stringify(TEXTS) + ',\n"pairs":' + JSON.stringify(PAIRS) + ',\n"pipelines":[\n' + lines.join(',\n') + ']}\n');
}
main();
