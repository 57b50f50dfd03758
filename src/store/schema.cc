#include "store/schema.h"

namespace volant {
namespace {

// A migration that was released is never edited: the next change is a new entry.
constexpr const char* kFirstSchema = R"sql(
CREATE TABLE artifacts (
  digest TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'stopped')),
  run_key TEXT NOT NULL,
  created_at TEXT NOT NULL,
  finished_at TEXT NOT NULL DEFAULT '',
  seconds REAL NOT NULL DEFAULT 0,
  summary TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX one_unfinished_run ON runs (kind, run_key) WHERE status <> 'finished';
CREATE INDEX runs_by_time ON runs (created_at);

CREATE TABLE stages (
  station TEXT NOT NULL,
  stage_key TEXT NOT NULL,
  outputs TEXT NOT NULL,
  detail TEXT NOT NULL,
  seconds REAL NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (station, stage_key)
) STRICT;

CREATE TABLE station_failures (
  station TEXT PRIMARY KEY,
  stage_key TEXT NOT NULL,
  message TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE versions (
  number INTEGER PRIMARY KEY,
  created_at TEXT NOT NULL,
  run_id TEXT NOT NULL,
  parent TEXT NOT NULL,
  dataset TEXT NOT NULL,
  hf TEXT NOT NULL,
  gguf TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  metrics TEXT NOT NULL,
  parity TEXT NOT NULL,
  gate TEXT NOT NULL,
  UNIQUE (run_id, gguf)
) STRICT;

CREATE TABLE aliases (
  alias TEXT PRIMARY KEY CHECK (alias IN ('candidate', 'canary', 'production')),
  version INTEGER NOT NULL REFERENCES versions (number),
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE alias_history (
  id INTEGER PRIMARY KEY,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL REFERENCES versions (number),
  previous INTEGER REFERENCES versions (number),
  action TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE lineage (
  from_kind TEXT NOT NULL,
  from_id TEXT NOT NULL,
  to_kind TEXT NOT NULL,
  to_id TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (from_kind, from_id, to_kind, to_id, role)
) STRICT;
CREATE INDEX lineage_backwards ON lineage (to_kind, to_id);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  created_at TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  previous_hash TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER audit_keeps_rows BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_loses_none BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE answers (
  id TEXT PRIMARY KEY,
  version TEXT NOT NULL,
  created_at TEXT NOT NULL,
  messages TEXT NOT NULL,
  answer TEXT NOT NULL,
  settings TEXT NOT NULL
) STRICT;
CREATE INDEX answers_by_time ON answers (created_at);
CREATE INDEX answers_by_version ON answers (version);

CREATE TABLE feedback (
  id INTEGER PRIMARY KEY,
  created_at TEXT NOT NULL,
  answer_id TEXT NOT NULL REFERENCES answers (id),
  rating TEXT NOT NULL CHECK (rating IN ('', 'up', 'down')),
  correction TEXT NOT NULL,
  comment TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('new', 'used', 'rejected')),
  reason TEXT NOT NULL,
  UNIQUE (answer_id, rating, correction, comment)
) STRICT;
CREATE INDEX feedback_by_state ON feedback (state);

CREATE TABLE improvements (
  id INTEGER PRIMARY KEY,
  created_at TEXT NOT NULL,
  state TEXT NOT NULL,
  run_id TEXT NOT NULL UNIQUE,
  report TEXT NOT NULL
) STRICT;

CREATE TABLE file_digests (
  path TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  digest TEXT NOT NULL
) STRICT;
)sql";

}  // namespace

const std::vector<Migration>& workspace_schema() {
  static const std::vector<Migration> migrations = {{1, kFirstSchema}};
  return migrations;
}

}  // namespace volant
