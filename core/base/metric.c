/* metric.c - a list of families, each a list of series; OpenMetrics text on demand.
 *
 * Families and series are only ever added (under a lock), each published by one atomic store at
 * the end of its list, so the updating side needs no lock and no look-up: it holds the series.
 * Look-ups go through one open-addressed table of series, so that ten thousand tables with a
 * label each stay cheap to register. Values: counters are 64-bit integers, gauges and sums of
 * histograms are doubles kept as their bits, so that a read is never torn.
 *
 * Exposition (OpenMetrics 1.0): "# TYPE", "# UNIT" where the name ends in a unit, "# HELP", then
 * samples; label values and help are escaped (\\, \", \n); "# EOF" last. */
#include "core/base/metric.h"

#include "core/base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define REFRESH_MAX 16

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct family {
	char *name; /* without _total */
	char *help;
	enum metric_kind kind;
	double *bounds;
	size_t bound_count;
	_Atomic(struct metric *) first;
	struct metric *last;
	_Atomic(struct family *) next;
};

struct metric {
	struct family *family;
	char *labels; /* `table="a.b",op="c"`, escaped; "" for none */
	uint64_t hash;
	_Atomic int64_t count;    /* counter; observations of a histogram */
	_Atomic uint64_t bits;    /* gauge; sum of a histogram */
	_Atomic int64_t *buckets; /* bound_count, not cumulative */
	_Atomic(struct metric *) next;
};

struct refresh {
	void (*call)(void *context);
	void *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct family *) families;
static struct family *last_family;
static struct metric **table; /* open addressing, size a power of two */
static size_t table_size, series_count;
static struct metric *overflow;
static struct refresh refreshes[REFRESH_MAX];
static size_t refresh_count;

static double from_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static uint64_t to_bits(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static void bug(const char *what, const char *name)
{
	fprintf(stderr, "millrace: metric %s: %s\n", name, what);
	abort();
}

/* ---- making --------------------------------------------------------------------------------- */

static bool name_ok(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || *p == '_' ||
		      (p > name && *p >= '0' && *p <= '9')))
			return false;
	return *name != '\0';
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buf_add_u8(out, '\\');
		if (*text == '\n')
			buf_add_str(out, "\\n");
		else
			buf_add_u8(out, (uint8_t)*text);
	}
}

static char *labels_text(const char *name, va_list args)
{
	struct buf text = BUF_INIT;
	const char *key;
	char *copy;
	int n = 0;

	while ((key = va_arg(args, const char *)) != NULL) {
		const char *value = va_arg(args, const char *);

		if (++n > METRIC_LABELS_MAX || value == NULL || !name_ok(key))
			bug("bad labels", name);
		buf_add_format(&text, "%s%s=\"", n > 1 ? "," : "", key);
		add_escaped(&text, value);
		buf_add_u8(&text, '"');
	}
	copy = xstrdup(buf_cstr(&text));
	buf_done(&text);
	return copy;
}

static struct family *find_family(const char *name, size_t size)
{
	struct family *f = atomic_load(&families);

	while (f != NULL && !(strlen(f->name) == size && memcmp(f->name, name, size) == 0))
		f = atomic_load(&f->next);
	return f;
}

static struct family *make_family(enum metric_kind kind, const char *name, size_t size,
				  const char *help, const double *bounds, size_t bound_count)
{
	struct family *f = xcalloc(1, sizeof(*f));

	f->name = xstrndup(name, size);
	f->help = xstrdup(help);
	f->kind = kind;
	f->bound_count = bound_count;
	f->bounds = xcalloc(bound_count, sizeof(*bounds));
	if (bound_count != 0)
		memcpy(f->bounds, bounds, bound_count * sizeof(*bounds));
	for (size_t i = 1; i < bound_count; i++)
		if (!(bounds[i] > bounds[i - 1]))
			bug("bounds must ascend", name);
	if (last_family == NULL)
		atomic_store(&families, f);
	else
		atomic_store(&last_family->next, f);
	last_family = f;
	return f;
}

static uint64_t hash_of(const struct family *f, const char *labels)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ (uint64_t)(uintptr_t)f; /* FNV-1a */

	for (; *labels != '\0'; labels++)
		h = (h ^ (uint8_t)*labels) * UINT64_C(1099511628211);
	return h ^ h >> 29;
}

static struct metric **slot_of(const struct family *f, const char *labels, uint64_t hash)
{
	size_t i = (size_t)hash & (table_size - 1);

	while (table[i] != NULL && !(table[i]->hash == hash && table[i]->family == f &&
				     strcmp(table[i]->labels, labels) == 0))
		i = (i + 1) & (table_size - 1);
	return &table[i];
}

static void grow_table(void)
{
	struct metric **old = table;
	size_t old_size = table_size;

	table_size = old_size != 0 ? old_size * 2 : 256;
	table = xcalloc(table_size, sizeof(struct metric *));
	for (size_t i = 0; i < old_size; i++)
		if (old[i] != NULL)
			*slot_of(old[i]->family, old[i]->labels, old[i]->hash) = old[i];
	free(old);
}

static struct metric *add_series(struct family *f, char *labels)
{
	struct metric *m = xcalloc(1, sizeof(*m)), **slot;

	m->family = f;
	m->labels = labels;
	m->hash = hash_of(f, labels);
	slot = slot_of(f, labels, m->hash);
	m->buckets = xcalloc(f->bound_count, sizeof(*m->buckets));
	*slot = m;
	series_count++;
	if (f->last == NULL)
		atomic_store(&f->first, m);
	else
		atomic_store(&f->last->next, m);
	f->last = m;
	return m;
}

/* Takes `labels`. */
static struct metric *find_or_make(struct family *f, char *labels)
{
	struct metric *m;

	if (series_count * 2 >= table_size)
		grow_table();
	m = *slot_of(f, labels, hash_of(f, labels));
	if (m == NULL && series_count >= METRIC_SERIES_MAX && *labels != '\0') {
		atomic_fetch_add(&overflow->count, 1);
		*labels = '\0';
		m = *slot_of(f, labels, hash_of(f, labels));
	}
	if (m == NULL)
		return add_series(f, labels);
	free(labels);
	return m;
}

static void make_overflow(void)
{
	static const char name[] = "millrace_metric_overflow";

	if (overflow == NULL)
		overflow = find_or_make(
			make_family(METRIC_COUNTER, name, sizeof(name) - 1,
				    "Series that were folded into one because there are too many.",
				    NULL, 0),
			xstrdup(""));
}

static struct metric *metric_get(enum metric_kind kind, const char *name, const char *help,
				 const double *bounds, size_t bound_count, va_list args)
{
	static const char total[] = "_total";
	size_t size = strlen(name), end = sizeof(total) - 1;
	char *labels = labels_text(name, args);
	struct family *f;
	struct metric *m;

	if (!name_ok(name) || bound_count > METRIC_BOUNDS_MAX)
		bug("bad name or too many bounds", name);
	if (kind == METRIC_COUNTER) {
		if (size <= end || strcmp(name + size - end, total) != 0)
			bug("a counter's name ends in _total", name);
		size -= end;
	}
	pthread_mutex_lock(&lock);
	make_overflow();
	f = find_family(name, size);
	if (f == NULL)
		f = make_family(kind, name, size, help, bounds, bound_count);
	if (f->kind != kind)
		bug("used with another kind", name);
	m = find_or_make(f, labels);
	pthread_mutex_unlock(&lock);
	return m;
}

struct metric *metric_counter(const char *name, const char *help, ...)
{
	struct metric *m;
	va_list args;

	va_start(args, help);
	m = metric_get(METRIC_COUNTER, name, help, NULL, 0, args);
	va_end(args);
	return m;
}

struct metric *metric_gauge(const char *name, const char *help, ...)
{
	struct metric *m;
	va_list args;

	va_start(args, help);
	m = metric_get(METRIC_GAUGE, name, help, NULL, 0, args);
	va_end(args);
	return m;
}

struct metric *metric_histogram(const char *name, const char *help, const double *bounds,
				size_t bound_count, ...)
{
	struct metric *m;
	va_list args;

	va_start(args, bound_count);
	m = metric_get(METRIC_HISTOGRAM, name, help, bounds, bound_count, args);
	va_end(args);
	return m;
}

/* ---- updating ------------------------------------------------------------------------------- */

static void add_double(_Atomic uint64_t *bits, double v)
{
	uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(bits, &old, to_bits(from_bits(old) + v),
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_add(struct metric *m, int64_t n)
{
	if (m->family->kind == METRIC_GAUGE)
		add_double(&m->bits, (double)n);
	else if (n > 0)
		atomic_fetch_add_explicit(&m->count, n, memory_order_relaxed);
}

void metric_set(struct metric *gauge, double value)
{
	atomic_store_explicit(&gauge->bits, to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric *m, double value)
{
	const struct family *f = m->family;
	size_t i = 0;

	while (i < f->bound_count && value > f->bounds[i])
		i++;
	if (i < f->bound_count)
		atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	add_double(&m->bits, value);
	atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

double metric_value(const struct metric *m)
{
	if (m->family->kind == METRIC_GAUGE)
		return from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed));
	return (double)atomic_load_explicit(&m->count, memory_order_relaxed);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void add_number(struct buf *out, double v)
{
	if (isnan(v))
		buf_add_str(out, "NaN");
	else if (isinf(v))
		buf_add_str(out, v > 0 ? "+Inf" : "-Inf");
	else
		buf_add_format(out, v == floor(v) && fabs(v) < 1e15 ? "%.0f" : "%.17g", v);
}

static void write_sample(struct buf *out, const struct metric *m, const char *suffix, double v)
{
	buf_add_format(out, "%s%s", m->family->name, suffix);
	if (*m->labels != '\0')
		buf_add_format(out, "{%s}", m->labels);
	buf_add_u8(out, ' ');
	add_number(out, v);
	buf_add_u8(out, '\n');
}

static void write_bucket(struct buf *out, const struct metric *m, const char *bound, int64_t n)
{
	buf_add_format(out, "%s_bucket{%s%sle=\"%s\"} %lld\n", m->family->name, m->labels,
		       *m->labels != '\0' ? "," : "", bound, (long long)n);
}

/* +Inf and _count are the buckets' own sum or more: an observation that comes in between never
 * makes them contradict. */
static void write_histogram(struct buf *out, const struct metric *m)
{
	int64_t sum = 0, count;
	char bound[32];

	for (size_t i = 0; i < m->family->bound_count; i++) {
		snprintf(bound, sizeof(bound), "%.9g", m->family->bounds[i]);
		if (strpbrk(bound, ".e") == NULL) /* canonical: 1.0, not 1 */
			memcpy(bound + strlen(bound), ".0", 3);
		sum += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		write_bucket(out, m, bound, sum);
	}
	count = atomic_load_explicit(&m->count, memory_order_relaxed);
	if (count < sum)
		count = sum;
	write_bucket(out, m, "+Inf", count);
	write_sample(out, m, "_count", (double)count);
	write_sample(out, m, "_sum",
		     from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed)));
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

static void write_family(struct buf *out, struct family *f)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	static const char *const units[] = { "seconds", "bytes", "ratio" };

	buf_add_format(out, "# TYPE %s %s\n", f->name, kinds[f->kind]);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ends_in(f->name, units[i]))
			buf_add_format(out, "# UNIT %s %s\n", f->name, units[i]);
	buf_add_format(out, "# HELP %s ", f->name);
	add_escaped(out, f->help);
	buf_add_u8(out, '\n');
	for (const struct metric *m = atomic_load(&f->first); m != NULL;
	     m = atomic_load(&m->next)) {
		if (f->kind == METRIC_HISTOGRAM)
			write_histogram(out, m);
		else
			write_sample(out, m, f->kind == METRIC_COUNTER ? "_total" : "",
				     metric_value(m));
	}
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*s %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_process(struct buf *out)
{
	struct rusage usage = { 0 };
	double cpu = 0;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	buf_add_format(
		out,
		"# TYPE process_resident_memory_bytes gauge\n# UNIT process_resident_memory_bytes bytes\n"
		"# HELP process_resident_memory_bytes Memory in use.\nprocess_resident_memory_bytes %.0f\n",
		resident_bytes());
	buf_add_format(out,
		       "# TYPE process_resident_memory_peak_bytes gauge\n"
		       "# HELP process_resident_memory_peak_bytes Most memory ever in use.\n"
		       "process_resident_memory_peak_bytes %.0f\n",
		       (double)usage.ru_maxrss * 1024);
	buf_add_format(
		out,
		"# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"
		"# HELP process_cpu_seconds CPU time used.\nprocess_cpu_seconds_total %.6f\n",
		cpu);
	buf_add_format(out,
		       "# TYPE millrace_build info\n# HELP millrace_build What is running.\n"
		       "millrace_build_info{version=\"%s\"} 1\n",
		       MILLRACE_VERSION);
}

void metric_on_write(void (*call)(void *context), void *context)
{
	pthread_mutex_lock(&lock);
	if (refresh_count == REFRESH_MAX)
		bug("too many metric_on_write", "");
	refreshes[refresh_count++] = (struct refresh){ call, context };
	pthread_mutex_unlock(&lock);
}

void metric_write(struct buf *out)
{
	struct refresh calls[REFRESH_MAX];
	size_t count;

	pthread_mutex_lock(&lock);
	count = refresh_count;
	memcpy(calls, refreshes, sizeof(calls));
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < count; i++)
		calls[i].call(calls[i].context);
	write_process(out);
	for (struct family *f = atomic_load(&families); f != NULL; f = atomic_load(&f->next))
		write_family(out, f);
	buf_add_str(out, "# EOF\n");
}
