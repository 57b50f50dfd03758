"""Texts into WordPiece ids by the files beside encoder.json: lower case, as BERT's uncased vocabularies are made."""
import json
import unicodedata

LONGEST_WORD = 100


def is_mark(c):
    return unicodedata.category(c)[0] == "P" or (c.isascii() and c.isprintable() and not c.isalnum() and c != " ")


def is_han(c):
    return "一" <= c <= "鿿" or "㐀" <= c <= "䶿" or "豈" <= c <= "﫿" or "\U00020000" <= c <= "\U0002fa1f"


def cut_by_icu(text):
    import icu

    breaks = icu.BreakIterator.createWordInstance(icu.Locale.getRoot())
    whole = icu.UnicodeString(text)
    breaks.setText(whole)
    begin, words = 0, []
    for end in breaks:
        words.append(str(whole[begin:end]))
        begin = end
    return " ".join(word for word in words if not word[:1].isspace())


class WordPiece:
    def __init__(self, folder):
        with open(folder + "/tokenizer.json") as file:
            source = json.load(file)
        with open(folder + "/encoder.json") as file:
            encoder = json.load(file)
        assert source["model"]["type"] == "WordPiece" and source["normalizer"]["lowercase"]
        self.ids, self.max_length = source["model"]["vocab"], encoder["max_length"]
        self.by_icu, self.split_han = encoder["segment"] == "icu", source["normalizer"]["handle_chinese_chars"]
        self.known = {}

    def words(self, text):
        if self.by_icu:
            text = cut_by_icu(text)
        clean = "".join(" " if c.isspace() else c for c in text if c in "\t\n\r" or unicodedata.category(c)[0] != "C")
        clean = "".join(c for c in unicodedata.normalize("NFD", clean.lower()) if unicodedata.category(c) != "Mn")
        return "".join(f" {c} " if is_mark(c) or (self.split_han and is_han(c)) else c for c in clean).split()

    def pieces(self, word):
        if word not in self.known:
            ids, begin = [], 0
            while begin < len(word):
                for end in range(len(word), begin, -1):
                    piece = ("##" if begin else "") + word[begin:end]
                    if piece in self.ids:
                        break
                else:
                    end = 0
                if end == 0 or len(word) > LONGEST_WORD:
                    ids = [self.ids["[UNK]"]]
                    break
                ids.append(self.ids[piece])
                begin = end
            self.known[word] = ids
        return self.known[word]

    def encode(self, text):
        ids = [id for word in self.words(text) for id in self.pieces(word)]
        return [self.ids["[CLS]"], *ids[:self.max_length - 2], self.ids["[SEP]"]]
