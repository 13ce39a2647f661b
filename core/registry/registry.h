/* registry.h - schema text <-> id, in a topic (default `_schemas`), in the record format that
 * Confluent's registry documents: key {"keytype":"SCHEMA","subject":S,"version":V,"magic":1}, value
 * {"subject":S,"version":V,"id":I,"schema":TEXT,"deleted":false}.
 *
 * Ids are global: equal text gives an equal id in every subject. Writers take turns by fencing: one
 * transactional.id per schemas topic; init, read to the end, assign, commit, else again. Reading
 * follows the topic on demand (registry_refresh). Thread-safe. */
#ifndef CORE_REGISTRY_REGISTRY_H
#define CORE_REGISTRY_REGISTRY_H

#include "core/base/settings.h"
#include "core/base/slice.h"

struct registry;

struct registry_schema {
	int32_t id;
	int32_t version; /* within the subject */
	const char *subject;
	const char *text; /* owned by the registry, never freed while it is open */
};

/* Creates the topic when `create` and it is missing, and reads it whole. */
int registry_open(const struct settings *settings, bool create, struct registry **ret_registry,
		  struct err *e);
void registry_close(struct registry *r);
int registry_refresh(struct registry *r, struct err *e);
/* Id of `text` under `subject`: the existing one, or a new version written to the topic before the
 * call returns. */
int registry_register(struct registry *r, const char *subject, const char *text, int32_t *ret_id,
		      struct err *e);
/* Registers what is missing of many, as registry_register would, in few transactions: thousands
 * take seconds. No subject twice. Their ids are then known without asking the topic. */
struct registry_wanted {
	const char *subject, *text;
};
int registry_register_all(struct registry *r, const struct registry_wanted *items, size_t count,
			  struct err *e);
/* By id; reads the topic further once when the id is unknown. ERR_DATA when it still is. */
int registry_by_id(struct registry *r, int32_t id, struct registry_schema *ret_schema,
		   struct err *e);
/* Latest version of a subject. Returns 1 when found, 0 when there is none, -1 on error. */
int registry_latest(struct registry *r, const char *subject, struct registry_schema *ret_schema,
		    struct err *e);
/* Calls back for every subject/version in topic order (the REST API, `check`); the schema is valid
 * in the call only. */
void registry_each(struct registry *r,
		   void (*each)(const struct registry_schema *schema, void *context),
		   void *context);

#endif
