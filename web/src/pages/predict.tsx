// Trying a model of predictions: draw or upload a picture, fill in a row, or write a text; see the label, how sure the
// model is and why; correct what is wrong.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { postJson } from "../lib/api";
import { figure, percent } from "../lib/format";
import { t } from "../lib/i18n";
import { href } from "../lib/router";
import { type Field, type Input, areaOf, inputOf, kMethods, type Method, type Neighbour, placement, predict, type Prediction, type Reason, type Task } from "../lib/predictions";
import { Icon } from "../ui/icon";
import { Failure, PageHead, Panel } from "../ui/parts";

const kPad = 280; // pixels of the drawing board
const kPen = 22;
const kMostReasons = 12;
const kMostLabels = 10;
const kNearest = 5;

export function PredictView({ task }: { task: Task }): JSX.Element {
  const asked = useSignal<Input | null>(null);
  const prediction = useSignal<Prediction | null>(null);
  const error = useSignal<Error | null>(null);
  const busy = useSignal(false);
  const method = useSignal<Method>("integrated_gradients");
  const ask = async (input: Input): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      prediction.value = await predict(input, method.value, task.nearest ? kNearest : 0);
      asked.value = input;
    } catch (caught) {
      error.value = caught instanceof Error ? caught : new Error(String(caught));
    } finally {
      busy.value = false;
    }
  };
  const { kind } = task.schema;
  return (
    <div class="predict" data-task={kind}>
      <PageHead title={t("page.playground")} lead={t("predict.lead")} />
      <div class="predict-grid">
        <Panel title={t("predict.input")}>
          {kind === "image" && <Picture task={task} busy={busy.value} onAsk={ask} />}
          {kind === "table" && <Row fields={task.schema.fields ?? []} busy={busy.value} onAsk={ask} />}
          {kind === "text" && <Words busy={busy.value} onAsk={ask} />}
          <label class="predict-method">
            <span>{t("predict.method")}</span>
            <select value={method.value} onChange={(event) => (method.value = event.currentTarget.value as Method)}>
              {kMethods.map((name) => (
                <option key={name} value={name}>{t(`predict.${name}`)}</option>
              ))}
            </select>
          </label>
          {error.value !== null && <Failure error={error.value} />}
        </Panel>
        <Panel title={t("predict.output")}>
          {prediction.value === null || asked.value === null ? (
            <p class="hint">{t("predict.nothing")}</p>
          ) : (
            <Outcome key={prediction.value.id} task={task} input={asked.value} prediction={prediction.value} />
          )}
        </Panel>
      </div>
    </div>
  );
}

/** Of a board that is read at every question: the first call decides where the browser keeps it. */
function penOf(board: HTMLCanvasElement | null): CanvasRenderingContext2D | null {
  return board?.getContext("2d", { willReadFrequently: true }) ?? null;
}

/** A board to draw on, or a file; what is asked is a PNG of the model's own size. */
function Picture({ task, busy, onAsk }: { task: Task; busy: boolean; onAsk: (input: Input) => Promise<void> }): JSX.Element {
  const board = useRef<HTMLCanvasElement>(null);
  const drawing = useRef(false);
  const uploaded = useRef<string | null>(null); // shown on the board; asked as it is
  const width = task.schema.width ?? 28;
  const height = task.schema.height ?? 28;
  const clear = (): void => {
    const pen = penOf(board.current);
    if (!pen) return;
    uploaded.current = null;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, kPad, kPad);
  };
  useEffect(clear, []);
  const at = (event: PointerEvent): [number, number] => {
    const box = board.current!.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * kPad, ((event.clientY - box.top) / box.height) * kPad];
  };
  const start = (event: PointerEvent): void => {
    const pen = penOf(board.current);
    if (!pen) return;
    if (uploaded.current !== null) clear();
    board.current!.setPointerCapture(event.pointerId);
    drawing.current = true;
    pen.strokeStyle = "#fff";
    pen.lineWidth = kPen;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...at(event));
    move(event);
  };
  const move = (event: PointerEvent): void => {
    const pen = penOf(board.current);
    if (!drawing.current || !pen) return;
    pen.lineTo(...at(event));
    pen.stroke();
  };
  const askDrawn = (): void => {
    if (uploaded.current !== null) return void onAsk({ image: uploaded.current });
    const pen = penOf(board.current);
    if (!pen) return;
    const pixels = pen.getImageData(0, 0, kPad, kPad).data;
    const ink = new Float32Array(kPad * kPad).map((_, i) => (pixels[4 * i] ?? 0) / 255);
    const place = placement(ink, kPad, kPad, Math.min(width, height));
    if (place === null) return;
    const small = document.createElement("canvas");
    small.width = width;
    small.height = height;
    const to = small.getContext("2d")!;
    to.fillStyle = "#000";
    to.fillRect(0, 0, width, height);
    to.imageSmoothingQuality = "high";
    to.drawImage(board.current!, place.x, place.y, kPad * place.scale, kPad * place.scale);
    void onAsk({ image: small.toDataURL("image/png") });
  };
  const show = (image: string): void => {
    const picture = new Image();
    picture.onload = () => {
      const pen = penOf(board.current);
      if (!pen) return;
      clear();
      uploaded.current = image;
      const scale = kPad / Math.max(picture.width, picture.height);
      const [w, h] = [picture.width * scale, picture.height * scale];
      pen.imageSmoothingEnabled = scale < 4; // a small picture shows its pixels
      pen.drawImage(picture, (kPad - w) / 2, (kPad - h) / 2, w, h);
    };
    picture.src = image;
  };
  const askFile = (file: File | undefined): void => {
    if (file === undefined) return;
    const reader = new FileReader();
    reader.onload = () => {
      const image = String(reader.result);
      show(image);
      void onAsk({ image });
    };
    reader.readAsDataURL(file);
  };
  return (
    <div class="draw">
      <canvas
        ref={board}
        width={kPad}
        height={kPad}
        aria-label={t("predict.board")}
        onPointerDown={start}
        onPointerMove={move}
        onPointerUp={() => (drawing.current = false)}
        onPointerCancel={() => (drawing.current = false)}
      />
      <div class="predict-acts">
        <button type="button" class="primary" disabled={busy} onClick={askDrawn}>{t("predict.ask")}</button>
        <button type="button" class="quiet" onClick={clear}>{t("predict.clear")}</button>
        <label class="button quiet">
          {t("predict.upload")}
          <input type="file" accept="image/png,image/jpeg" class="visually-hidden" onChange={(event) => {
            askFile(event.currentTarget.files?.[0]);
            event.currentTarget.value = ""; // the same file again is a change too
          }} />
        </label>
      </div>
    </div>
  );
}

function Row({ fields, busy, onAsk }: { fields: Field[]; busy: boolean; onAsk: (input: Input) => Promise<void> }): JSX.Element {
  const values = useSignal<{ [name: string]: string }>(Object.fromEntries(fields.map(({ name, example }) => [name, String(example ?? "")])));
  const set = (name: string, value: string): void => {
    values.value = { ...values.value, [name]: value };
  };
  return (
    <form
      class="predict-form"
      onSubmit={(event) => {
        event.preventDefault();
        void onAsk(inputOf(fields, values.value));
      }}
    >
      <div class="predict-fields">
        {fields.map(({ name, type, values: known }) => (
          <label key={name}>
            <span>{name}</span>
            {type === "category" && known !== undefined ? (
              <select value={values.value[name]} onChange={(event) => set(name, event.currentTarget.value)}>
                <option value="">{t("predict.missing")}</option>
                {known.map((value) => (
                  <option key={value} value={value}>{value}</option>
                ))}
              </select>
            ) : (
              <input type="text" inputMode={type === "number" ? "decimal" : "text"} value={values.value[name]} placeholder={t("predict.missing")} onInput={(event) => set(name, event.currentTarget.value)} />
            )}
          </label>
        ))}
      </div>
      <button type="submit" class="primary" disabled={busy}>{t("predict.ask")}</button>
    </form>
  );
}

function Words({ busy, onAsk }: { busy: boolean; onAsk: (input: Input) => Promise<void> }): JSX.Element {
  const text = useSignal("");
  return (
    <form
      class="predict-form"
      onSubmit={(event) => {
        event.preventDefault();
        void onAsk({ text: text.value });
      }}
    >
      <textarea rows={6} aria-label={t("predict.text")} placeholder={t("predict.text")} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
      <button type="submit" class="primary" disabled={busy || text.value.trim() === ""}>{t("predict.ask")}</button>
    </form>
  );
}

function Outcome({ task, input, prediction }: { task: Task; input: Input; prediction: Prediction }): JSX.Element {
  const shown = Object.entries(prediction.probabilities ?? {}).sort((a, b) => b[1] - a[1]).slice(0, kMostLabels);
  return (
    <>
      <p class="predict-label" data-prediction={prediction.label ?? String(prediction.value)}>
        {prediction.label ?? figure(prediction.value)}
        {prediction.probability !== undefined && <small>{percent(prediction.probability)}</small>}
      </p>
      {shown.length > 0 && (
        <ul class="bars" aria-label={t("predict.probabilities")}>
          {shown.map(([label, p]) => (
            <li key={label}>
              <span>{label}</span>
              <i aria-hidden="true"><b style={{ width: `${p * 100}%` }} /></i>
              <span>{percent(p)}</span>
            </li>
          ))}
        </ul>
      )}
      {prediction.explanation !== undefined && prediction.explanation.length > 0 && <Why task={task} input={input} reasons={prediction.explanation} />}
      {prediction.nearest !== undefined && prediction.nearest.length > 0 && <Nearest kind={task.schema.kind} examples={prediction.nearest} />}
      <Correct task={task} prediction={prediction} />
    </>
  );
}

/** What spoke for the label and what against it: over the picture, or in a list. */
function Why({ task, input, reasons }: { task: Task; input: Input; reasons: Reason[] }): JSX.Element {
  const most = Math.max(...reasons.map(({ score }) => Math.abs(score)), 1e-12);
  const top = [...reasons].sort((a, b) => Math.abs(b.score) - Math.abs(a.score)).slice(0, kMostReasons);
  return (
    <section class="why">
      <h3>{t("predict.why")}</h3>
      {task.schema.kind === "image" ? (
        <Heat input={input} reasons={reasons} most={most} width={task.schema.width ?? 28} height={task.schema.height ?? 28} />
      ) : (
        <ul class="bars">
          {top.map(({ feature, score }) => (
            <li key={feature}>
              <span>{feature}</span>
              <i aria-hidden="true"><b class={score < 0 ? "against" : "for"} style={{ width: `${(Math.abs(score) / most) * 100}%` }} /></i>
              <span>{figure(score, 2)}</span>
            </li>
          ))}
        </ul>
      )}
      <p class="why-key">
        <span><i class="for" aria-hidden="true" />{t("predict.for")}</span>
        <span><i class="against" aria-hidden="true" />{t("predict.against")}</span>
      </p>
    </section>
  );
}

/** Training examples that the model sees as most like the input. */
function Nearest({ kind, examples }: { kind: string; examples: Neighbour[] }): JSX.Element {
  const shown = (input: Input): JSX.Element | string => {
    if (kind === "image") return <img src={String(input["image"])} alt="" />;
    if (kind === "text") return [input["text"], input["text_pair"]].filter(Boolean).join(" | ");
    return Object.entries(input).map(([name, value]) => `${name} ${value ?? "-"}`).join(", ");
  };
  return (
    <section class="nearest">
      <h3>{t("predict.nearest")}</h3>
      <ul>
        {examples.map(({ id, label, target, similarity, input }, index) => (
          <li key={index}>
            <b>{label ?? figure(target)}</b>
            <span>{input === undefined ? id : shown(input)}</span>
            <small title={id}>{figure(similarity, 2)}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Heat({ input, reasons, most, width, height }: { input: Input; reasons: Reason[]; most: number; width: number; height: number }): JSX.Element {
  return (
    <svg class="heat" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={t("predict.heat")}>
      <image href={String(input["image"])} width={width} height={height} preserveAspectRatio="none" style={{ imageRendering: "pixelated" }} />
      {reasons.map(({ feature, score }) => {
        const area = areaOf(feature);
        if (area === null) return null;
        const [x, y, w, h] = area;
        return <rect key={feature} x={x} y={y} width={w} height={h} class={score < 0 ? "against" : "for"} opacity={Math.abs(score) / most} />;
      })}
    </svg>
  );
}

function Correct({ task, prediction }: { task: Task; prediction: Prediction }): JSX.Element {
  const wanted = useSignal("");
  const sent = useSignal<string | null>(null);
  const error = useSignal<Error | null>(null);
  const send = async (body: { rating: "up" | "down"; correction?: string }): Promise<void> => {
    error.value = null;
    try {
      await postJson("v1/feedback", { answer_id: prediction.id, ...body });
      sent.value = body.correction ?? "";
    } catch (caught) {
      error.value = caught instanceof Error ? caught : new Error(String(caught));
    }
  };
  if (sent.value !== null) return <p class="hint" data-corrected={sent.value}>{t(sent.value === "" ? "predict.thanks" : "predict.corrected")}</p>;
  return (
    <form
      class="predict-correct"
      onSubmit={(event) => {
        event.preventDefault();
        void send({ rating: "down", correction: wanted.value.trim() });
      }}
    >
      <label>
        <span>{t("predict.right")}</span>
        {task.labels.length > 0 ? (
          <select value={wanted.value} onChange={(event) => (wanted.value = event.currentTarget.value)}>
            <option value="" />
            {task.labels.filter((label) => label !== prediction.label).map((label) => (
              <option key={label} value={label}>{label}</option>
            ))}
          </select>
        ) : (
          <input type="text" inputMode="decimal" value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} />
        )}
      </label>
      <button type="submit" class="quiet" disabled={wanted.value.trim() === ""}>
        <Icon name="edit" size={15} />
        {t("playground.correct")}
      </button>
      <button type="button" class="quiet" onClick={() => void send({ rating: "up" })}>
        <Icon name="up" size={15} />
        {t("predict.good")}
      </button>
      <a class="quiet button" href={href("trace", prediction.id)}>
        <Icon name="trace" size={15} />
        {t("playground.trace")}
      </a>
      {error.value !== null && <Failure error={error.value} />}
    </form>
  );
}
