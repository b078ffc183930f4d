"use strict";
// Draws the report that lies in the page as JSON. Names and messages come from outside: they are only ever set as text.
(() => {
  const root = document.documentElement;
  window.addEventListener("error", event => { root.dataset.error = event.message; });
  const report = JSON.parse(document.getElementById("report").textContent);
  const page = document.getElementById("page");
  const single = new URLSearchParams(location.hash.slice(1)).get("chart"); // one chart alone, for its picture
  const armNames = [...new Set(report.points.flatMap(point => point.arms.map(arm => arm.arm)))];

  const css = name => getComputedStyle(root).getPropertyValue(name).trim();
  const color = arm => { // text mode is the baseline and stays grey
    const others = armNames.filter(name => name !== "text");
    return arm === "text" ? css("--arm0") : css(`--arm${1 + others.indexOf(arm) % 6}`);
  };
  const element = (tag, text, ...children) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  };
  const classed = (made, name) => { made.className = name; return made; };
  const number = value => value == null ? "–" : Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en-US")
    : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  const percent = value => value == null ? "–" : (100 * value).toFixed(1);
  const range = (low, high, scale = 1) => low == null || high == null ? "" : ` [${number(scale * low)}, ${number(scale * high)}]`;
  const mebi = value => value == null ? null : value / 1048576;
  const describe = load => load.requests_per_second == null ? `concurrency ${load.concurrency}`
    : (load.ramp_from == null ? "" : `${load.ramp_from} to `) + `${load.requests_per_second} requests/s`;

  function legend(names, colorOf) {
    return classed(element("div", "", ...names.map(name => {
      const key = classed(element("span"), "key");
      key.style.background = colorOf(name);
      return element("span", "", key, document.createTextNode(name));
    })), "legend");
  }

  // A section with a title, a legend and a body; the body is drawn once it has a width.
  const drawings = [];
  function chart(id, title, caption, names, colorOf, draw) {
    if (single && single !== id) return null;
    const body = classed(element("div"), "chart");
    const made = element("section", "", element("h2", title), classed(element("p", caption), "soft"), legend(names, colorOf), body);
    made.dataset.chart = id;
    drawings.push(() => { body.replaceChildren(); draw(body); });
    return made;
  }

  function plot(body, data, series, axes, more = {}) {
    if (typeof uPlot === "undefined") {
      body.append(classed(element("p", "This report was built without the chart library; the figures are in the tables."), "soft"));
      return;
    }
    const axis = (label, values) => ({
      stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, label, labelSize: 22, size: 58,
      font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", values: values && ((_, ticks) => ticks.map(values)),
    });
    new uPlot({
      width: Math.max(260, body.clientWidth), height: single ? 390 : 280, legend: { show: false },
      cursor: { show: !single }, scales: { x: { time: false }, ...more.scales }, hooks: more.hooks || {},
      series: [{}, ...series], axes: [{ ...axis(axes[0]), size: 42 }, axis(axes[1], more.values)],
    }, data, body);
  }

  const line = (arm, more = {}) => ({ stroke: color(arm), width: 2, points: { show: false }, ...more });

  // Share of the prompts that were done within a time; requests that did not succeed never are, so their curve ends below 100 %.
  function cdf(point, field) {
    return body => {
      const tables = point.arms.map(arm => {
        const runs = point.prompts.flatMap(prompt => prompt.runs.filter(run => run.arm === arm.arm));
        const times = runs.filter(run => run.outcome === "succeeded" && run[field] != null).map(run => run[field]).sort((a, b) => a - b);
        const x = [], y = [];
        times.forEach((time, i) => {
          if (x.length && x[x.length - 1] === time) y[y.length - 1] = 100 * (i + 1) / runs.length;
          else { x.push(time); y.push(100 * (i + 1) / runs.length); }
        });
        return [x, y];
      });
      if (tables.every(([x]) => x.length === 0)) { body.append(element("p", "No values.")); return; }
      const stepped = typeof uPlot === "undefined" ? undefined : uPlot.paths.stepped({ align: 1 });
      plot(body, typeof uPlot === "undefined" ? [] : uPlot.join(tables),
        point.arms.map(arm => line(arm.arm, { paths: stepped, spanGaps: true })), ["ms", "% of requests"], { scales: { y: { range: [0, 100] } } });
    };
  }

  // One line per arm over the time of the run. An arm has gaps where the others had their turn.
  function overTime(point, secondsOf, valuesOf, unit, gapSeconds) {
    return body => {
      const stepped = typeof uPlot === "undefined" || gapSeconds > 0 ? undefined : uPlot.paths.stepped({ align: 1 });
      const tables = point.arms.map(arm => {
        const seconds = secondsOf(arm), values = valuesOf(arm), x = [], y = [];
        seconds.forEach((second, i) => {
          if (i > 0 && gapSeconds && second - seconds[i - 1] > gapSeconds) { x.push((second + seconds[i - 1]) / 2); y.push(null); }
          x.push(second); y.push(values[i]);
        });
        return [x, y];
      });
      plot(body, typeof uPlot === "undefined" ? [] : uPlot.join(tables, tables.map(() => [0, 2])),
        point.arms.map(arm => line(arm.arm, { spanGaps: false, points: { show: gapSeconds > 0, size: 4 }, paths: stepped })), ["s", unit], { scales: { y: { range: (_, low, high) => [0, (high || 1) * 1.08] } } });
    };
  }

  function tokenBars(point) {
    const kinds = [["latent", "--latent"], ["control", "--control"], ["reasoning_text", "--reasoning"], ["answer", "--answer"]];
    const most = Math.max(...point.arms.map(arm => arm.tokens.completion || 0), 1e-9);
    return body => point.arms.forEach(arm => {
      const track = classed(element("div"), "track");
      kinds.forEach(([kind, name]) => {
        const part = element("span");
        part.style.width = `${100 * (arm.tokens[kind] || 0) / most}%`;
        part.style.background = `var(${name})`;
        part.title = `${kind.replace("_", " ")}: ${number(arm.tokens[kind])}`;
        track.append(part);
      });
      body.append(classed(element("div", "", element("span", arm.arm), track, element("span", number(arm.tokens.completion))), "bar"));
    });
  }

  function throughput(points) {
    return body => {
      const x = points.map(point => point.load.requests_per_second ?? point.load.concurrency);
      const data = [x, ...armNames.map(name => points.map(point => point.arms.find(arm => arm.arm === name)?.throughput.requests_per_second ?? null))];
      const label = points[0].load.requests_per_second == null ? "requests at once" : "requests/s offered";
      plot(body, data, armNames.map(name => line(name, { points: { show: true, size: 7, fill: color(name) } })), [label, "requests/s done"],
        { scales: { x: { time: false, distr: 3, log: 2 }, y: { range: (_, low, high) => [0, high * 1.1] } } });
    };
  }

  // Each arm is a point: mean tokens across, accuracy up, with its 95 % interval.
  function dial(point) {
    return body => {
      const arms = point.arms.filter(arm => arm.tokens.completion != null && arm.accuracy.value != null)
        .sort((a, b) => a.tokens.completion - b.tokens.completion);
      if (arms.length === 0) { body.append(element("p", "No values.")); return; }
      const x = arms.map(arm => arm.tokens.completion), y = arms.map(arm => 100 * arm.accuracy.value);
      const low = Math.min(...arms.map(arm => 100 * arm.accuracy.low)), most = Math.max(...x);
      const spots = new Map(); // arms that lie on one another share a label
      arms.forEach((arm, i) => {
        const spot = `${x[i].toFixed(1)} ${y[i].toFixed(0)}`;
        spots.set(spot, [...(spots.get(spot) || []), arm.arm]);
      });
      const draw = chart => {
        const context = chart.ctx, ratio = devicePixelRatio;
        context.save();
        context.lineWidth = 2 * ratio;
        context.font = `${12 * ratio}px system-ui, sans-serif`;
        arms.forEach((arm, i) => {
          const left = chart.valToPos(x[i], "x", true), at = value => chart.valToPos(100 * value, "y", true);
          context.strokeStyle = context.fillStyle = color(arm.arm);
          context.beginPath(); context.moveTo(left, at(arm.accuracy.low)); context.lineTo(left, at(arm.accuracy.high)); context.stroke();
          context.beginPath(); context.arc(left, at(arm.accuracy.value), 5 * ratio, 0, 7); context.fill();
          const names = spots.get(`${x[i].toFixed(1)} ${y[i].toFixed(0)}`);
          if (names[names.length - 1] !== arm.arm) return;
          const onRight = x[i] < 0.8 * most;
          context.textAlign = onRight ? "left" : "right";
          context.fillText(names.join(", "), left + (onRight ? 9 : -9) * ratio, at(arm.accuracy.value) + (i % 2 ? 17 : -7) * ratio); // neighbours take turns above and below
        });
        context.restore();
      };
      plot(body, [x, y], [{ stroke: "transparent", paths: () => null, points: { show: false } }], ["tokens per request (mean)", "accuracy, %"],
        { scales: { x: { time: false, range: [0, most * 1.1] }, y: { range: [Math.max(0, Math.floor(low / 10) * 10 - 5), 103] } }, hooks: { draw: [draw] } });
    };
  }

  function table(head, rows) {
    const body = element("tbody");
    rows.forEach(cells => {
      const row = element("tr", "", ...cells.map(cell => element("td", cell)));
      if (cells.length === 1) { row.firstChild.className = "group"; row.firstChild.colSpan = head.length; }
      body.append(row);
    });
    return classed(element("div", "", element("table", "", element("thead", "", element("tr", "", ...head.map(name => element("th", name)))), body)), "scroll");
  }

  function figures(point) {
    const compared = point.comparisons.length === 1 ? point.comparisons[0] : null;
    const ratio = metric => {
      const found = compared && metric && compared.ratios.find(entry => entry.metric === metric);
      return found && found.ratio != null ? number(found.ratio) + range(found.low, found.high) : "";
    };
    const rows = [];
    const row = (name, value, metric) => rows.push([name, ...point.arms.map(value), ...(compared ? [ratio(metric)] : [])]);
    const times = (name, field, metric) => {
      row(`${name}, mean`, arm => number(arm[field].mean), metric);
      row(`${name}, p50 / p90 / p99`, arm => [arm[field].p50, arm[field].p90, arm[field].p99].map(number).join(" / "));
    };
    row("attempted", arm => String(arm.requests.attempted));
    row("succeeded / refused / failed / timed out", arm => ["succeeded", "refused", "failed", "timed_out"].map(kind => arm.requests[kind]).join(" / "));
    row("accuracy, %", arm => arm.accuracy.value == null ? "–" : percent(arm.accuracy.value) + ` [${percent(arm.accuracy.low)}, ${percent(arm.accuracy.high)}]`);
    rows.push(["tokens per request (mean)"]);
    ["latent", "control", "reasoning_text", "answer"].forEach(kind => row(kind.replace("_", " "), arm => number(arm.tokens[kind])));
    row("completion", arm => number(arm.tokens.completion), "completion_tokens_mean");
    row("prompt", arm => number(arm.tokens.prompt));
    rows.push(["time, ms"]);
    times("first token (TTFT)", "time_to_first_token_ms", "time_to_first_token_ms_mean");
    times("first answer token", "time_to_first_answer_token_ms", "time_to_first_answer_token_ms_mean");
    times("inter-token (ITL)", "inter_token_time_ms", "inter_token_time_ms_mean");
    times("per output token (TPOT)", "time_per_output_token_ms", "time_per_output_token_ms_mean");
    times("end to end", "end_to_end_ms", "end_to_end_ms_mean");
    rows.push(["throughput"]);
    row("requests/s", arm => number(arm.throughput.requests_per_second), "requests_per_second");
    row("tokens/s", arm => number(arm.throughput.tokens_per_second), "tokens_per_second");
    row("requests in flight, mean / most", arm => `${number(arm.in_flight.mean)} / ${arm.in_flight.max}`);
    if (point.arms.some(arm => arm.goodput)) row("goodput, % of requests", arm => arm.goodput ? percent(arm.goodput.share) : "–");
    rows.push(["memory, MiB"]);
    row("KV per request, mean", arm => number(mebi(arm.kv_cache.bytes_per_request.mean)), "kv_bytes_per_request_mean");
    row("KV in use, mean / most", arm => `${number(mebi(arm.kv_cache.bytes_in_use.mean))} / ${number(mebi(arm.kv_cache.bytes_in_use.max))}`);
    row("server resident, most", arm => number(mebi(arm.memory.resident_bytes.max)));
    if (point.arms.some(arm => arm.memory.gpu_bytes.n > 0)) row("GPU, most", arm => number(mebi(arm.memory.gpu_bytes.max)));
    return table(["", ...point.arms.map(arm => arm.arm), ...(compared ? [`${compared.baseline} / ${compared.arm}`] : [])], rows);
  }

  function comparisons(point) {
    const ratio = (entry, metric) => {
      const found = entry.ratios.find(candidate => candidate.metric === metric);
      return found.ratio == null ? "–" : number(found.ratio) + range(found.low, found.high);
    };
    const estimate = (value, scale) => number(value.mean == null ? null : scale * value.mean) + range(value.low, value.high, scale);
    return table(
      ["text against", "accuracy, points", "McNemar p", "tokens saved, %", "ms saved", "tokens, ratio", "end to end, ratio", "KV, ratio"],
      point.comparisons.map(entry => [
        entry.arm, estimate(entry.accuracy.arm_minus_baseline, 100), entry.accuracy.mcnemar_p.toFixed(3), estimate(entry.savings.fraction_saved, 100),
        estimate(entry.savings.seconds_saved, 1000), ratio(entry, "completion_tokens_mean"), ratio(entry, "end_to_end_ms_mean"),
        ratio(entry, "kv_bytes_per_request_mean"),
      ]));
  }

  function head() {
    const run = report.run;
    const made = element("header", "",
      element("h1", report.command === "compare" ? "Does latent reasoning pay?" : "Load test"),
      element("p", `${run.model}, ${run.dataset.name}: ${run.prompts} prompts`),
      classed(element("p", `${run.grpc || run.url} · ${report.started_at.slice(0, 16).replace("T", " ")} UTC · ${number(report.duration_seconds)} s · seed ${run.seed} · ${report.tool}`
        + ` · client ${percent(report.client.core_share)} % of a core`), "soft"));
    const warnings = [...report.notes, ...report.failures.map(entry => `${entry.arm}: ${entry.count} ${entry.kind.replace("_", " ")}: ${entry.message}`),
      ...report.usage_problems.slice(0, 10).map(entry => `prompt ${entry.prompt}, ${entry.arm}: ${entry.problem}`)];
    if (report.ended !== "completed") warnings.unshift(`ended early: ${report.ended.replace("_", " ")}`);
    warnings.forEach(text => made.append(classed(element("p", text), "warning")));
    return made;
  }

  // The charts show the last point, the highest load, unless they are about all of them.
  function charts() {
    const points = report.points, point = points[points.length - 1], names = point.arms.map(arm => arm.arm), at = describe(point.load);
    const kinds = { latent: "--latent", control: "--control", "reasoning text": "--reasoning", answer: "--answer" };
    const has = value => point.arms.some(value);
    return [
      chart("latency", "End-to-end latency", `Share of all requests done within a time, ${at}`, names, color, cdf(point, "end_to_end_ms")),
      chart("first-answer", "Time to the first answer token", `Share of all requests whose answer had begun, ${at}`, names, color, cdf(point, "time_to_first_answer_token_ms")),
      chart("tokens", "Tokens by kind", "Mean per request", Object.keys(kinds), kind => css(kinds[kind]), tokenBars(point)),
      names.length > 1 && chart("dial", "Accuracy against tokens", "Mean tokens per request and accuracy with its 95 % interval", names, color, dial(point)),
      has(arm => arm.memory.kv_in_use.some(value => value != null)) && chart("kv", "KV cache in use", `MiB on the server over the run, ${at}`, names, color,
        overTime(point, arm => arm.memory.seconds, arm => arm.memory.kv_in_use.map(mebi), "MiB", 1)),
      has(arm => arm.memory.resident.some(value => value != null)) && chart("resident", "Resident memory", `MiB of the server's process over the run, ${at}`, names, color,
        overTime(point, arm => arm.memory.seconds, arm => arm.memory.resident.map(mebi), "MiB", 1)),
      points.length > 1 && chart("throughput", "Throughput against load", "Requests per second that were answered", armNames, color, throughput(points)),
      chart("in-flight", "Requests in flight", `Over the run, ${at}`, names, color,
        overTime(point, arm => arm.in_flight.seconds, arm => arm.in_flight.values, "requests", 0)),
    ].filter(Boolean);
  }

  function draw() { drawings.forEach(work => work()); }

  if (single) {
    document.body.classList.add("single");
    page.append(...charts());
  } else {
    page.append(head());
    if (report.points.length > 0) page.append(classed(element("div", "", ...charts()), "grid"));
    report.points.forEach(point => {
      page.append(element("section", "", element("h2", `Figures, ${describe(point.load)}`), figures(point)));
      if (point.comparisons.length > 0) {
        page.append(element("section", "", element("h2", `Against text mode, ${describe(point.load)}`),
          classed(element("p", "Paired by prompt; brackets are 95 % intervals. Ratios: text / mode, above 1 text mode takes more."), "soft"), comparisons(point)));
      }
    });
  }
  draw();
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; draw(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  root.dataset.charts = [...document.querySelectorAll("[data-chart]")].map(made => made.dataset.chart).join(" ");
  root.dataset.ready = "true";
})();
