/* prepare.c - topics and schemas of many tables, some hundred at a time.
 *
 * One table alone costs a dozen round trips to Kafka: is the topic there, make it, has it leaders,
 * what is its configuration; two schemas, a transaction each. Asked for together they cost the same
 * dozen. The publisher then compiles its plans from what is there. Texts of schemas are kept for
 * one slice of tables only: all of them would be larger than the memory budget. */
#include "cdc/capture/prepare.h"

#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "core/base/notify.h"

#include <stdlib.h>

#define SLICE 200 /* tables */

struct subject {
	char *name;
	struct buf text;
};

static int add_subject(struct subject *s, const char *topic, const char *suffix,
		       const struct prepare *p, const struct shape *shape, bool key, struct err *e)
{
	s->name = xasprintf("%s-%s", topic, suffix);
	return key ? row_schema_key(p->settings->name, shape, &s->text, e)
		   : row_schema_envelope(p->settings->name, shape, &s->text, e);
}

static int register_slice(const struct prepare *p, struct subject *subjects, size_t count,
			  struct err *e)
{
	struct registry_wanted *wanted = xcalloc(count + 1, sizeof(*wanted));
	int rc;

	for (size_t i = 0; i < count; i++)
		wanted[i] =
			(struct registry_wanted){ subjects[i].name, buf_cstr(&subjects[i].text) };
	rc = registry_register_all(p->registry, wanted, count, e);
	free(wanted);
	return rc;
}

static int prepare_schemas(const struct prepare *p, struct shape *const *shapes,
			   const char *const *topics, size_t count, struct err *e)
{
	struct subject *subjects = xcalloc(2 * count + 1, sizeof(*subjects));
	size_t used = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = add_subject(&subjects[used++], topics[i], "value", p, shapes[i], false, e);
		if (rc == 0 && shapes[i]->key_count != 0)
			rc = add_subject(&subjects[used++], topics[i], "key", p, shapes[i], true,
					 e);
	}
	if (rc == 0)
		rc = register_slice(p, subjects, used, e);
	for (size_t i = 0; i < used; i++) {
		free(subjects[i].name);
		buf_done(&subjects[i].text);
	}
	free(subjects);
	return rc;
}

static int prepare_slice(const struct prepare *p, struct shape *const *shapes,
			 const char *const *topics, size_t count, struct err *e)
{
	if (prepare_schemas(p, shapes, topics, count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (publisher_prepare(p->publisher, shapes[i], e) < 0)
			return err_wrap(e, "table %s.%s", shapes[i]->db, shapes[i]->table);
	return 0;
}

int prepare_tables(const struct prepare *p, struct shape *const *shapes, size_t count,
		   struct err *e)
{
	char **topics = xcalloc(count + 1, sizeof(*topics));
	const char *const *names = (const char *const *)topics;
	int rc;

	for (size_t i = 0; i < count; i++)
		topics[i] = publisher_row_topic(p->publisher, shapes[i]);
	rc = delivery_topics(p->delivery, names, count, e);
	for (size_t at = 0; at < count && rc == 0; at += SLICE) {
		notify_watchdog();
		rc = prepare_slice(p, shapes + at, names + at,
				   count - at < SLICE ? count - at : SLICE, e);
	}
	for (size_t i = 0; i < count; i++)
		free(topics[i]);
	free(topics);
	delivery_topics_done(p->delivery);
	return rc;
}
