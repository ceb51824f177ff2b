'use strict';
(() => {
  const run = JSON.parse(document.getElementById('run').textContent);
  const total = Math.max(run.elapsed_ms, 1);
  const WORDS = { ok: 'ok', changed: 'changed', failed: 'failed', timed_out: 'timed out', unreachable: 'unreachable', refused: 'refused', skipped: 'skipped', cancelled: 'cancelled' };
  // What matters most comes first; the rest stays in the order of the inventory.
  const RANK = { refused: 0, timed_out: 1, unreachable: 2, failed: 3, cancelled: 4 };
  const MANY = 400;
  // Rows that are made at once: a browser takes long over a hundred thousand.
  const FIRST = 2000;
  const at = (id) => document.getElementById(id);
  // Text only, never markup: whatever a node prints stays text.
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const glyph = (outcome) => {
    const NS = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(NS, 'svg');
    svg.setAttribute('class', 'g');
    svg.setAttribute('aria-hidden', 'true');
    const use = document.createElementNS(NS, 'use');
    use.setAttribute('href', '#g-' + outcome);
    svg.append(use);
    return svg;
  };
  const time = (ms) => {
    if (ms < 1000) return ms + ' ms';
    if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + ' s';
    const s = Math.round(ms / 1000);
    return s < 3600 ? Math.floor(s / 60) + 'm' + String(s % 60).padStart(2, '0') + 's' : Math.floor(s / 3600) + 'h' + String(Math.floor(s / 60) % 60).padStart(2, '0') + 'm';
  };
  const percent = (ms) => (100 * Math.min(ms, total) / total).toFixed(3) + '%';

  function head() {
    at('command').textContent = run.command;
    const verdict = at('verdict');
    const bad = run.status.code !== 0;
    verdict.className = bad ? 'failed' : 'ok';
    verdict.append(glyph(bad ? 'failed' : 'ok'), ' ' + run.status.name.replace(/_/g, ' ') + ', exit status ' + run.status.code);
    const hosts = run.hosts.length === 1 ? '1 host' : run.hosts.length + ' hosts';
    const state = run.state ? ', state ' + run.state : '';
    const parts = run.parts ? ', ' + run.parts : '';
    at('about').textContent = hosts + ' in ' + time(run.elapsed_ms) + state + parts + ', begun ' + run.started.replace('T', ' ').replace(/\.\d+/, '') + ', run ' + run.run;
    run.steps.forEach((step, number) => {
      const item = make('li');
      item.append(make('span', '', number + 1), step);
      at('steps').append(item);
    });
    for (const outcome of Object.keys(WORDS)) {
      const count = run.counts[outcome];
      if (!count) continue;
      const chip = make('button', outcome);
      chip.type = 'button';
      chip.dataset.outcome = outcome;
      chip.setAttribute('aria-pressed', 'false');
      chip.append(glyph(outcome), count + ' ' + WORDS[outcome]);
      chip.addEventListener('click', () => set(at('filter').value === 'is:' + outcome ? '' : 'is:' + outcome));
      at('chips').append(chip);
    }
  }

  function axis() {
    const ticks = make('div', 'ticks');
    const nice = [1, 2, 5].flatMap((n) => [1, 10, 100, 1000, 10000].map((p) => n * p)).concat([15000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 7200000]).sort((a, b) => a - b);
    const step = nice.find((n) => total / n <= 8) || total / 8;
    for (let ms = 0; ms <= total * 0.97; ms += step) {
      const tick = make('span', '', ms === 0 ? '0' : time(ms).replace('.00', ''));
      tick.style.left = percent(ms);
      ticks.append(tick);
    }
    at('axis').append(ticks);
  }

  const PHASE = { resolve: 'resolve', connect: 'connect', key_exchange: 'key exchange', host_key: 'host key', auth: 'login' };
  function lane(host, into) {
    for (const span of host.spans) {
      const thick = span.step !== undefined;
      const kind = thick ? span.outcome || 'cancelled' : span.phase === 'auth' ? 'auth' : span.phase ? 'connect' : 'pause';
      const piece = make('i', 's ' + kind + (span.broken ? ' broken' : ''));
      piece.style.left = percent(span.from);
      piece.style.width = percent(Math.max(span.to - span.from, 0));
      const what = thick ? span.step + 1 + ' ' + run.steps[span.step] + ', ' + (WORDS[span.outcome] || 'not finished') : PHASE[span.phase] || 'pause before another attempt';
      piece.title = what + ': ' + time(span.to - span.from);
      if (thick && run.steps.length > 1 && (span.to - span.from) / total > 0.02) piece.textContent = span.step + 1;
      into.append(piece);
    }
    for (const stage of host.ups) {
      const mark = make('b', 'up');
      mark.style.left = percent(stage.at);
      mark.title = stage.stage + (/ (gone|there)$/.test(stage.stage) ? ' at ' : ' up at ') + time(stage.at);
      into.append(mark);
    }
  }

  function more(host) {
    const box = make('div', 'more');
    const list = make('dl');
    const line = (name, text) => text && list.append(make('dt', '', name), make('dd', '', text));
    line('address', [host.user ? host.user + '@' : '', host.address || '', ':' + host.port].join(''));
    line('error', host.error && host.phase + ': ' + host.error);
    line('cause', host.cause && host.cause.words);
    line('hint', host.hint);
    line('proof', host.cause && host.cause.proof && host.cause.proof.file);
    line('attempts', host.attempts > 1 ? String(host.attempts) : '');
    line('phases', host.spans.filter((span) => span.phase).map((span) => PHASE[span.phase] + ' ' + time(span.to - span.from)).join(', '));
    box.append(list);
    if (host.cause && host.cause.proof) box.append(make('pre', 'proof', host.cause.proof.lines.join('\n')));
    if (host.chain.length) {
      const stages = make('div', 'stages');
      for (const stage of host.chain) {
        const item = make('span', stage.up ? 'ok' : 'failed');
        item.append(glyph(stage.up ? 'ok' : 'failed'), ' ' + stage.stage + (stage.value ? ': ' + stage.value : ''));
        stages.append(item);
      }
      box.append(stages);
    }
    for (const step of host.steps) {
      const title = make('h3', step.outcome);
      title.append(glyph(step.outcome), run.steps[step.step] || 'step');
      const said = [WORDS[step.outcome], time(step.elapsed_ms)];
      if (step.exit_status) said.push('exit status ' + step.exit_status);
      if (step.error) said.push(step.error);
      title.append(make('small', '', said.join(', ')));
      box.append(title);
      for (const change of step.changes) box.append(make('p', '', change));
      if (step.stdout) box.append(make('pre', 'stdout', step.stdout));
      if (step.stderr) box.append(make('pre', 'stderr', step.stderr));
    }
    return box;
  }

  const rows = [];
  const waiting = new Map();
  const seen = run.hosts.length > MANY && new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: '300px' });
  function draw(target) {
    const host = waiting.get(target);
    if (!host) return;
    waiting.delete(target);
    if (seen) seen.unobserve(target);
    lane(host, target);
  }
  function hosts() {
    const order = run.hosts.map((host, index) => ({ host, index }));
    const rank = ({ host }) => RANK[host.outcome] ?? 9;
    order.sort((a, b) => rank(a) - rank(b) || a.index - b.index);
    for (const { host } of order) {
      const text = (host.host + ' ' + WORDS[host.outcome] + ' ' + (host.error || '') + ' ' + (host.cause ? host.cause.words : '')).toLowerCase();
      rows.push({ host, text, is: host.outcome, item: null, row: null });
    }
  }
  // The row of a host, made when it is shown first.
  function made(entry) {
    if (entry.item) return entry.item;
    const host = entry.host;
    const item = make('li', 'host ' + host.outcome);
    const row = make('button', 'row');
    row.type = 'button';
    row.setAttribute('aria-expanded', 'false');
    const picture = make('span', 'lane');
    row.append(glyph(host.outcome), make('span', 'name', host.host), make('span', 'word', WORDS[host.outcome]), picture, make('span', 'time', time(host.elapsed_ms)));
    if (host.error) row.append(make('span', 'why', host.phase + ': ' + host.error));
    waiting.set(picture, host);
    if (seen) seen.observe(picture); else draw(picture);
    item.append(row);
    item.dataset.host = host.host;
    row.addEventListener('click', () => {
      const open = row.getAttribute('aria-expanded') === 'true';
      row.setAttribute('aria-expanded', String(!open));
      if (open) item.lastChild.hidden = true;
      else if (item.lastChild === row) item.append(more(host));
      else item.lastChild.hidden = false;
    });
    entry.item = item;
    entry.row = row;
    return item;
  }

  let most = FIRST;
  let shownRows = [];
  function show(found) {
    shownRows = found.slice(0, most);
    at('hosts').replaceChildren(...shownRows.map(made));
    at('more').hidden = found.length <= most;
    at('more').textContent = 'Show ' + Math.min(FIRST, found.length - most) + ' more of ' + (found.length - most) + ' hosts';
  }

  function filter() {
    const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) => words.every((word) => word.startsWith('is:') ? row.is === word.slice(3) : row.text.includes(word));
    const found = rows.filter(fits);
    show(found);
    at('nobody').hidden = found.length > 0;
    at('shown').textContent = words.length ? found.length + ' of ' + rows.length + ' hosts' : '';
    for (const chip of at('chips').children) chip.setAttribute('aria-pressed', String(words.includes('is:' + chip.dataset.outcome)));
  }
  // The filter stands in the address, so that a view can be sent to a colleague.
  function set(text) {
    most = FIRST;
    at('filter').value = text;
    history.replaceState(null, '', text ? '#filter=' + encodeURIComponent(text) : location.pathname + location.search);
    filter();
  }
  function fromAddress() {
    const found = /^#filter=(.*)$/.exec(location.hash);
    let text = '';
    try { text = found ? decodeURIComponent(found[1]) : ''; } catch { text = found[1]; }
    at('filter').value = text;
    filter();
  }

  function key(event) {
    const field = at('filter');
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '/' && event.target !== field) {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === 'Escape') {
      set('');
      if (event.target === field) field.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const visible = shownRows.map((entry) => entry.row);
      const here = visible.indexOf(document.activeElement);
      const next = event.key === 'ArrowDown' ? here + 1 : here - 1;
      event.preventDefault();
      if (next < 0) field.focus();
      else if (visible[next]) visible[next].focus();
    }
  }

  head();
  axis();
  hosts();
  fromAddress();
  at('more').addEventListener('click', () => { most += FIRST; filter(); });
  at('filter').addEventListener('input', () => set(at('filter').value));
  document.addEventListener('keydown', key);
  addEventListener('hashchange', fromAddress);
  addEventListener('beforeprint', () => [...waiting.keys()].forEach(draw));
})();
