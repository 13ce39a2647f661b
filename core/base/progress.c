/* progress.c - the bar of progress.h. The rate is an average over the last WINDOW samples (about
 * ten seconds), so that it neither jumps nor remembers a slow start for ever; time left is what
 * remains at that rate. */
#include "core/base/progress.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/term.h"

#define WINDOW 20
#define SAMPLE_US 500000
#define REDRAW_US 100000
#define PLAIN_US 5000000

struct sample {
	int64_t at_us, done;
};

struct progress {
	FILE *out;
	char *label, *unit, *note;
	bool terminal, drawn;
	int64_t done, total;
	double rate; /* units a second; 0: not known yet */
	bool updated; /* since this phase began */
	int64_t begun_us, shown_us, shown_done, shown_total;
	struct sample samples[WINDOW];
	size_t sample_count; /* all ever taken */
};

/* A terminal shows something at once; a log is told when there is something to tell. */
static void begin_phase(struct progress *p)
{
	p->begun_us = clock_monotonic_us();
	p->shown_us = p->terminal ? 0 : p->begun_us;
	p->shown_done = p->shown_total = -1;
	p->sample_count = 0;
	p->rate = 0;
	p->updated = p->drawn = false;
}

struct progress *progress_new(FILE *out, const char *label, const char *unit)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->out = out;
	p->label = xstrdup(label);
	p->unit = xstrdup(unit);
	p->note = xstrdup("");
	p->terminal = term_is(out);
	begin_phase(p);
	return p;
}

void progress_number(struct buf *out, int64_t n)
{
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%lld", (long long)(n < 0 ? 0 : n));

	for (int i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			buf_add_u8(out, ',');
		buf_add_u8(out, (uint8_t)digits[i]);
	}
}

void progress_duration(struct buf *out, int64_t us)
{
	int64_t s = us / 1000000;

	if (us < 0)
		us = s = 0;
	if (s < 10)
		buf_add_format(out, "%.1f s", (double)us / 1e6);
	else if (s < 60)
		buf_add_format(out, "%lld s", (long long)s);
	else if (s < 3600)
		buf_add_format(out, "%lld min %02lld s", (long long)(s / 60), (long long)(s % 60));
	else if (s < 86400)
		buf_add_format(out, "%lld h %02lld min", (long long)(s / 3600),
			       (long long)(s / 60 % 60));
	else
		buf_add_format(out, "%lld d %lld h", (long long)(s / 86400),
			       (long long)(s / 3600 % 24));
}

void progress_bytes(struct buf *out, int64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = bytes > 0 ? (double)bytes : 0;
	size_t i = 0;

	for (; v >= 999.5 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		v /= 1000;
	buf_add_format(out, i == 0 || v >= 9.95 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

static void add_bar(struct buf *out, double share, size_t width)
{
	size_t full = (size_t)(share * (double)width);

	buf_add_u8(out, '[');
	for (size_t i = 0; i < width; i++)
		buf_add_u8(out, i < full ? '=' : i == full && share < 1 ? '>' : ' ');
	buf_add_str(out, "] ");
}

/* "62 %  1,240,000 of 2,000,000 events  101,230/s  7.5 s left" */
static void add_facts(struct buf *out, const char *unit, int64_t done, int64_t total, double rate)
{
	if (total > 0) {
		buf_add_format(out, "%3d %%  ", (int)((double)done * 100 / (double)total));
		progress_number(out, done);
		buf_add_str(out, " of ");
		progress_number(out, total);
	} else {
		progress_number(out, done);
	}
	buf_add_format(out, " %s", unit);
	if (rate > 0) {
		buf_add_str(out, "  ");
		progress_number(out, (int64_t)(rate + 0.5));
		buf_add_str(out, "/s");
	}
	if (rate > 0 && total > done) {
		buf_add_str(out, "  ");
		progress_duration(out, (int64_t)((double)(total - done) / rate * 1e6));
		buf_add_str(out, " left");
	}
}

void progress_line(struct buf *out, const char *label, const char *unit, int64_t done,
		   int64_t total, double rate, size_t width, bool bar)
{
	struct buf facts = BUF_INIT;
	size_t start = out->size, used;

	if (total > 0 && done > total)
		total = done; /* more came in while we worked */
	add_facts(&facts, unit, done, total, rate);
	buf_add_format(out, "%s  ", label);
	used = out->size - start + facts.size + 3;
	if (bar && total > 0 && used + 10 <= width)
		add_bar(out, (double)done / (double)total, width - used < 40 ? width - used : 40);
	buf_add_slice(out, buf_slice(&facts));
	if (out->size - start > width)
		out->size = start + width;
	buf_done(&facts);
}

static void draw(struct progress *p)
{
	size_t width = p->terminal ? term_width(p->out) - 1 : 200;
	size_t note = p->note[0] != '\0' ? strlen(p->note) + 2 : 0;
	struct buf line = BUF_INIT;

	if (note * 2 > width) /* the numbers come first */
		note = 0;
	if (p->done >= 0) {
		progress_line(&line, p->label, p->unit, p->done, p->total, p->rate, width - note,
			      p->terminal);
		if (note > 0)
			buf_add_format(&line, "  %s", p->note);
	} else {
		buf_add_format(&line, "%s  ", p->label);
		progress_duration(&line, clock_monotonic_us() - p->begun_us);
	}
	fprintf(p->out, p->terminal ? "\r%s\033[K" : "%s\n", buf_cstr(&line));
	fflush(p->out);
	buf_done(&line);
	p->drawn = true;
	p->shown_us = clock_monotonic_us();
	p->shown_done = p->done;
	p->shown_total = p->total;
}

/* The phase's last state, on a line that stays. */
static void end_phase(struct progress *p)
{
	bool shown = p->done >= 0 && p->shown_done == p->done && p->shown_total == p->total;

	if (p->updated && (p->terminal || !shown))
		draw(p);
	if (p->terminal && p->drawn)
		fputc('\n', p->out);
}

void progress_label(struct progress *p, const char *label)
{
	end_phase(p);
	free(p->label);
	p->label = xstrdup(label);
	begin_phase(p);
}

static void measure(struct progress *p, int64_t now)
{
	size_t last = p->sample_count, oldest = last > WINDOW ? last - WINDOW : 0;
	const struct sample *from = &p->samples[oldest % WINDOW];

	if (last > 0 && now - p->samples[(last - 1) % WINDOW].at_us < SAMPLE_US)
		return;
	if (last > 0 && now > from->at_us)
		p->rate = (double)(p->done - from->done) * 1e6 / (double)(now - from->at_us);
	p->samples[last % WINDOW] = (struct sample){ now, p->done };
	p->sample_count++;
}

static void update(struct progress *p, int64_t done, int64_t total)
{
	int64_t now = clock_monotonic_us();

	p->done = done;
	p->total = total;
	p->updated = true;
	if (now - p->shown_us >= (p->terminal ? REDRAW_US : PLAIN_US))
		draw(p);
}

void progress_update(struct progress *p, int64_t done, int64_t total)
{
	p->done = done;
	if (done >= 0)
		measure(p, clock_monotonic_us());
	update(p, done, total);
}

void progress_update_rate(struct progress *p, int64_t done, int64_t total, double rate)
{
	p->rate = rate;
	update(p, done, total);
}

void progress_note(struct progress *p, const char *note)
{
	free(p->note);
	p->note = xstrdup(note);
}

void progress_clear(struct progress *p)
{
	if (p->terminal && p->drawn) {
		fputs("\r\033[K", p->out);
		fflush(p->out);
		p->drawn = false;
		p->shown_us = 0;
	}
}

void progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	end_phase(p);
	fflush(p->out);
	free(p->label);
	free(p->unit);
	free(p->note);
	free(p);
}
