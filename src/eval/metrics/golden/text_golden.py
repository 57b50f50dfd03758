#!/usr/bin/env python3
"""Writes text.json: BLEU, chrF and their tokens as sacreBLEU computes them, on hard little texts.

    python3 text_golden.py > text.json

Made with sacreBLEU 2.6.0 (pip install sacrebleu).
"""
import json

from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

ENGLISH = [
    ("The cat sat on the mat.", ["The cat sat on a mat.", "There is a cat on the mat."]),
    ("It cost $3.50, not 1,000.00 - \"really\"!", ["It cost $3.50, not 1,000.00 -- \"really\"!", "3.5 dollars"]),
    ("A well-known 10-year-old's e.g. i.e. 5-6 (approx.) test/case", ["A well known 10-year old, e.g. 5-6 test"]),
    ("&quot;Hello&quot; &amp; &lt;goodbye&gt; <skipped>end", ["\"Hello\" & <goodbye> the end"]),
    ("Über café naïve.,Ω 3,.4 x.y", ["Über cafe naïve., Ω 3.4 x.y"]),
    ("line-\nbreak and\nanother", ["linebreak and another"]),
    ("short", ["a much longer reference than that"]),
    ("", ["nothing was said"]),
]
CHINESE = [
    ("今天天气很好，我们去公园。", ["今天的天气很好，我们去公园吧。"]),
    ("他用了3.5小时学C++“编程”……", ["他花3.5小时学习C++“编程”……", "他学了编程"]),
    ("北京—上海 1,200公里（约）", ["北京到上海约1,200公里"]),
    ("𠀀字 ①②③ ☆ ﬁ Ａ１", ["𠀀字 ①② ☆ fi A1"]),
]


def corpus(pairs, tokenize, tokenizer):
    hypotheses = [h for h, _ in pairs]
    width = max(len(r) for _, r in pairs)
    # sacreBLEU wants as many references for every row; None marks the missing ones.
    references = [[r[i] if i < len(r) else None for _, r in pairs] for i in range(width)]
    bleu, chrf = BLEU(tokenize=tokenize), CHRF()
    single = BLEU(tokenize=tokenize, effective_order=True)
    return {"tokenize": tokenize, "bleu": bleu.corpus_score(hypotheses, references).score,
            "chrf": chrf.corpus_score(hypotheses, references).score,
            "rows": [{"hypothesis": h, "references": r, "tokens": tokenizer(h),
                      "bleu": single.sentence_score(h, r).score, "chrf": chrf.sentence_score(h, r).score}
                     for h, r in pairs]}


print(json.dumps([corpus(ENGLISH, "13a", Tokenizer13a()), corpus(CHINESE, "zh", TokenizerZh()),
                  corpus(ENGLISH[:3], "none", lambda text: " ".join(text.split()))], ensure_ascii=False, indent=1))
