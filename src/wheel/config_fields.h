// The keys of every section of volant.toml, each once: name, member, range. The reader, the JSON of stage
// keys and the list of known names all visit these. A visitor has text(), choice(), integer(), number(),
// flag() and texts().
#pragma once
#include "data/job_words.h"
#include "wheel/config.h"

namespace volant {

template <class V>
void visit_fields(V& v, SourceSection& s) {
  v.text("name", s.name);
  v.choice("kind", s.kind, {"text", "markdown", "html", "csv", "jsonl"});
  v.texts("paths", s.paths);
  v.texts("exclude", s.exclude);
  v.text("separator", s.separator);
  v.text("text_field", s.text_field);
  v.text("delimiter", s.delimiter);
  v.text("charset", s.charset);
  v.text("licence", s.licence);
}

template <class V>
void visit_fields(V& v, PrepareSection& s) {
  v.choice("normalize", s.normalize, {"nfc", "nfkc", "none"});
  v.integer("min_chars", s.min_chars, 0, 1'000'000);
  v.integer("max_chars", s.max_chars, 1, 100'000'000);
  v.texts("languages", s.languages);
  v.number("near_duplicate_threshold", s.near_duplicate_threshold, 0, 1.01);
  v.flag("mask_personal_data", s.mask_personal_data);
  v.number("min_quality", s.min_quality, 0, 1);
  v.texts("skip_rules", s.skip_rules);
  v.number("validation_share", s.validation_share, 0, 0.5);
  v.number("test_share", s.test_share, 0, 0.5);
}

template <class V>
void visit_fields(V& v, TokenizerSection& s) {
  v.choice("algorithm", s.algorithm, {"bpe", "unigram"});
  v.integer("vocab_size", s.vocab_size, 512, 262'144);
}

template <class V>
void visit_fields(V& v, ModelSection& s) {
  v.text("init_from", s.init_from);
  v.choice("architecture", s.architecture,
           {"gemma2", "gemma3", "gpt2", "llama", "mistral", "phi3", "qwen2", "qwen3"});
  v.integer("hidden_size", s.hidden_size, 32, 65536);
  v.integer("num_hidden_layers", s.num_hidden_layers, 1, 512);
  v.integer("num_attention_heads", s.num_attention_heads, 1, 1024);
  v.integer("num_key_value_heads", s.num_key_value_heads, 1, 1024);
  v.integer("intermediate_size", s.intermediate_size, 32, 1 << 20);
  v.integer("max_position_embeddings", s.max_position_embeddings, 16, 1 << 20);
  v.flag("tie_word_embeddings", s.tie_word_embeddings);
  v.number("rope_theta", s.rope_theta, 1, 1e9);
  v.number("rms_norm_eps", s.rms_norm_eps, 1e-12, 1);
  v.integer("sliding_window", s.sliding_window, 0, 1 << 20);
}

template <class V>
void visit_fields(V& v, TrainSection& s) {
  v.choice("dtype", s.dtype, {"auto", "bf16", "f32"});
  v.integer("max_seq_len", s.max_seq_len, 16, 1 << 20);
  v.integer("tokens_per_step", s.tokens_per_step, 16, 1 << 28);
  v.integer("micro_batch_tokens", s.micro_batch_tokens, 16, 1 << 24);
  v.integer("steps", s.steps, 1, 100'000'000);
  v.number("max_minutes", s.max_minutes, 0, 1e6);
  v.number("lr", s.lr, 0, 1);
  v.number("min_lr_ratio", s.min_lr_ratio, 0, 1);
  v.integer("warmup_steps", s.warmup_steps, 0, 100'000'000);
  v.number("weight_decay", s.weight_decay, 0, 10);
  v.number("beta1", s.beta1, 0, 0.9999);
  v.number("beta2", s.beta2, 0, 0.99999);
  v.number("eps", s.eps, 1e-16, 1);
  v.number("grad_clip", s.grad_clip, 0, 1e6);
  v.integer("evaluate_every", s.evaluate_every, 1, 100'000'000);
  v.integer("checkpoint_every", s.checkpoint_every, 1, 100'000'000);
  v.integer("patience", s.patience, 0, 1'000'000);
  v.integer("seed", s.seed, 0, INT64_MAX);
  v.integer("n_threads", s.n_threads, 0, 1024);
  v.text("launch", s.launch);
  v.choice("shard", s.shard, job_words("shard"));
  v.flag("checkpoint_activations", s.checkpoint_activations);
  v.choice("device", s.device, job_words("device"));
}

template <class V>
void visit_fields(V& v, EvaluateSection& s) {
  v.integer("max_documents", s.max_documents, 1, 10'000'000);
  v.texts("sample_prompts", s.sample_prompts);
}

template <class V>
void visit_fields(V& v, CompressSection& s) {
  v.texts("formats", s.formats);
}

template <class V>
void visit_fields(V& v, GateSection& s) {
  v.number("max_bits_per_byte_increase", s.max_bits_per_byte_increase, -10, 10);
  v.integer("min_documents", s.min_documents, 1, 1'000'000);
}

template <class V>
void visit_fields(V& v, PredictGateSection& s) {
  v.number("max_accuracy_drop", s.max_accuracy_drop, 0, 1);
  v.number("max_error_increase", s.max_error_increase, 0, 10);
  v.integer("min_rows", s.min_rows, 1, 1'000'000);
  v.texts("figures", s.figures);
}

template <class V>
void visit_fields(V& v, ServeSection& s) {
  v.text("host", s.host);
  v.integer("port", s.port, 0, 65535);
  v.integer("n_slots", s.n_slots, 1, 1024);
  v.choice("kv", s.kv, {"f32", "f16", "q8_0"});
  v.integer("kv_memory_mb", s.kv_memory_mb, 0, 1 << 24);
  v.flag("guess_from_text", s.guess_from_text);
  v.text("draft", s.draft);
  v.integer("n_threads", s.n_threads, 0, 1024);
  v.integer("max_queue", s.max_queue, 0, 100'000);
  v.integer("max_tokens", s.max_tokens, 1, 1 << 20);
  v.integer("max_body_bytes", s.max_body_bytes, 1024, 1 << 30);
  v.number("request_timeout_seconds", s.request_timeout_seconds, 1, 86400);
  v.number("drain_seconds", s.drain_seconds, 0, 3600);
}

template <class V>
void visit_fields(V& v, ImproveSection& s) {
  v.integer("min_corrections", s.min_corrections, 1, 1'000'000);
  v.number("held_out_share", s.held_out_share, 0, 0.9);
  v.number("replay_share", s.replay_share, 0, 0.95);
  v.integer("steps", s.steps, 1, 1'000'000);
  v.number("lr", s.lr, 0, 1);
  v.number("max_minutes", s.max_minutes, 0, 1e6);
}

}  // namespace volant
