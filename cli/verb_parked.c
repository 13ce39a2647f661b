/* verb_parked.c - `millrace parked`: what could not be delivered as it is.
 *
 * list and show read the topics and need no daemon: the index on <name>.position, the pieces on
 * <name>.parked. retry and drop change what is delivered, so the daemon that delivers does it. */
#include "cli/verb_view.h"

#include "cdc/delivery/parked.h"
#include "cdc/delivery/position_store.h"
#include "core/avro/decode.h"
#include "core/avro/schema.h"
#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/base/quote.h"
#include "core/base/table.h"
#include "core/http/http_client.h"
#include "core/kafka/admin.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct parked_verb {
	const struct settings *settings;
	bool json, force;
	const char *raw, *view, *version;
	bool all;
	struct registry *registry;
	struct position_stored stored;
};

/* ---- list ----------------------------------------------------------------------------------- */

static void add_row(struct table *t, const struct parked_record *p)
{
	struct buf size = BUF_INIT;
	char at[CLOCK_TEXT_SIZE];

	progress_bytes(&size, p->size);
	table_cell(t, "%s", p->id);
	table_cell(t, "%s", p->topic);
	table_cell(t, "%d", (int)p->partition);
	table_cell(t, "%s", p->op[0] != '\0' ? p->op : "event");
	table_cell(t, "%s", buf_cstr(&size));
	table_cell(t, "%s", clock_text(p->at_us, at));
	table_cell(t, "%s", p->transaction);
	table_cell(t, "%s", p->reason);
	buf_done(&size);
}

static void print_table(const struct position_stored *stored)
{
	struct table *t = table_new();

	table_column(t, "id", TABLE_LEFT);
	table_column(t, "topic", TABLE_LEFT);
	table_column(t, "partition", TABLE_RIGHT);
	table_column(t, "op", TABLE_LEFT);
	table_column(t, "size", TABLE_RIGHT);
	table_column(t, "parked", TABLE_LEFT);
	table_column(t, "transaction", TABLE_LEFT);
	table_column(t, "why", TABLE_LEFT);
	for (size_t i = 0; i < stored->parked_count; i++)
		add_row(t, &stored->parked[i]);
	table_print(t, stdout, 0);
	table_free(t);
}

static json_t *entry_json(const struct parked_record *p)
{
	return json_pack("{s:s, s:I, s:s, s:i, s:s, s:b, s:I, s:I, s:s, s:I, s:s}", "id", p->id,
			 "seq", (json_int_t)p->seq, "topic", p->topic, "partition",
			 (int)p->partition, "op", p->op, "stand_in", (int)p->stand_in, "size",
			 (json_int_t)p->size, "at_us", (json_int_t)p->at_us, "transaction",
			 p->transaction, "offset", (json_int_t)p->offset, "reason", p->reason);
}

static int list(struct parked_verb *v)
{
	json_t *all;

	if (!v->json) {
		if (v->stored.parked_count == 0)
			puts("nothing is parked");
		else
			print_table(&v->stored);
		return EXIT_OK;
	}
	all = json_array();
	for (size_t i = 0; i < v->stored.parked_count; i++)
		json_array_append_new(all, entry_json(&v->stored.parked[i]));
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return EXIT_OK;
}

/* ---- show ----------------------------------------------------------------------------------- */

static int write_raw(const char *path, struct slice value, struct err *e)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
	bool failed;

	if (out == NULL)
		return err_fatal(e, "%s: %s", path, strerror(errno));
	failed = fwrite(value.data, 1, value.size, out) != value.size;
	failed = (out == stdout ? fflush(out) : fclose(out)) != 0 || failed;
	return failed ? err_fatal(e, "%s: %s", path, strerror(errno)) : 0;
}

static int print_json(struct parked_verb *v, struct slice value, struct err *e)
{
	struct registry_schema registered;
	struct schema *schema = NULL;
	struct buf text = BUF_INIT;
	int32_t id;
	int rc;

	if (decode_wire_id(value, &id, e) < 0 ||
	    registry_by_id(v->registry, id, &registered, e) < 0 ||
	    schema_parse(slice_str(registered.text), &schema, e) < 0)
		return -1;
	rc = decode_json(schema,
			 slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER),
			 &text, e);
	if (rc == 0) {
		fwrite(text.data, 1, text.size, stdout);
		putchar('\n');
	}
	schema_free(schema);
	buf_done(&text);
	return rc;
}

static int show(struct parked_verb *v, const char *id, struct err *e)
{
	const struct parked_record *entry =
		parked_find(v->stored.parked, v->stored.parked_count, id);
	struct buf value = BUF_INIT;
	int rc;

	if (entry == NULL) {
		err_config(e, "nothing is parked as %s", id);
		return err_hint(e, "`millrace parked list` says what is.");
	}
	rc = parked_whole(v->settings, v->registry, entry, &value, e);
	if (rc == 0)
		rc = v->raw != NULL ? write_raw(v->raw, buf_slice(&value), e)
				    : print_json(v, buf_slice(&value), e);
	buf_done(&value);
	return rc;
}

/* ---- retry and drop ------------------------------------------------------------------------- */

static int ask(struct parked_verb *v, const char *action, const char *id, struct err *e)
{
	struct http_call call = { .method = "POST",
				  .path = "/api/parked",
				  .token = v->settings->http_token,
				  .timeout_ms = 60000 };
	struct http_answer answer;
	struct buf body = BUF_INIT;
	char *address = NULL;
	int rc = verb_capture_address(v->settings, &address, e);

	buf_add_format(&body, "{\"action\":\"%s\",\"id\":", action);
	quote_json(&body, slice_str(id));
	buf_add_str(&body, v->force ? ",\"force\":\"yes\"}" : "}");
	call.address = address;
	call.body = buf_cstr(&body);
	if (rc == 0)
		rc = verb_capture_ask(&call, &answer, e);
	if (rc == 0) {
		printf("%s\n", (const char *)answer.body.data);
		http_client_done(&answer);
	}
	buf_done(&body);
	free(address);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int open_topics(struct parked_verb *v, struct err *e)
{
	struct admin *admin;
	int brokers, rc;

	if (admin_open(v->settings, &admin, e) < 0)
		return -1;
	rc = admin_ping(admin, &brokers, e);
	admin_close(admin);
	if (rc < 0 || registry_open(v->settings, false, &v->registry, e) < 0 ||
	    position_read(v->settings, v->registry, &v->stored, e) < 0)
		return -1;
	parked_sort(v->stored.parked, v->stored.parked_count);
	return 0;
}

static int act(struct parked_verb *v, const char *what, const char *id)
{
	struct err e = ERR_INIT;
	int code = EXIT_OK;

	if (open_topics(v, &e) < 0 || (strcmp(what, "show") == 0 && show(v, id, &e) < 0))
		code = verb_fail(&e);
	else if (strcmp(what, "list") == 0)
		code = list(v);
	position_stored_done(&v->stored);
	registry_close(v->registry);
	return code;
}

/* Of a view: what it could not apply. */
static int run_view(const struct parked_verb *v, int count, char **argv)
{
	const char *what = count > 0 ? argv[0] : "list";
	bool change = strcmp(what, "retry") == 0 || strcmp(what, "drop") == 0;

	if (!change && strcmp(what, "show") != 0 && strcmp(what, "list") != 0)
		return verb_usage_error(&verb_parked, "list, show, retry or drop, not '%s'", what);
	if (strcmp(what, "list") == 0 ? count > 1 : count != (change && v->all ? 1 : 2))
		return verb_usage_error(&verb_parked,
					"which record? (`millrace parked list --view %s`)",
					v->view);
	return verb_parked_view(v->settings, what, v->view, v->version,
				count == 2 ? argv[1] : NULL, v->json);
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct parked_verb v = { .settings = settings };
	const struct verb_option options[] = {
		{ "--json", &v.json, NULL },
		{ "--raw", NULL, &v.raw },
		{ "--force", &v.force, NULL },
		{ "--all", &v.all, NULL },
		{ "--view", NULL, &v.view },
		{ "--version", NULL, &v.version },
	};
	struct err e = ERR_INIT;
	bool change;
	int count = verb_options(&verb_parked, argc, argv, options,
				 sizeof(options) / sizeof(options[0]));

	if (count < 0)
		return EXIT_USAGE;
	if (v.view != NULL)
		return run_view(&v, count, argv);
	if (count == 0 || (count == 1 && strcmp(argv[0], "list") == 0))
		return act(&v, "list", NULL);
	change = strcmp(argv[0], "retry") == 0 || strcmp(argv[0], "drop") == 0;
	if (!change && strcmp(argv[0], "show") != 0)
		return verb_usage_error(&verb_parked, "list, show, retry or drop, not '%s'",
					argv[0]);
	if (count != 2)
		return verb_usage_error(&verb_parked, "which record? (`millrace parked list`)");
	if (!change)
		return act(&v, "show", argv[1]);
	return ask(&v, argv[0], argv[1], &e) < 0 ? verb_fail(&e) : EXIT_OK;
}

const struct verb verb_parked = {
	.name = "parked",
	.summary = "list, show, retry or drop what could not be delivered or applied",
	.usage =
		"list [--json]\n"
		"       millrace parked show ID [--raw FILE]\n"
		"       millrace parked retry|drop ID [--force]\n"
		"       millrace parked list|show ID|retry ID|drop ID --view VIEW [--version N] "
		"[--all] [--json]\n\n"
		"  list       what is parked, why, and since when\n"
		"  show       the whole record as JSON\n"
		"  --raw      its bytes, as they would stand in the topic, into a file (-: stdout)\n"
		"  --json     as JSON\n"
		"  retry      send it again, under a new seq, now that its topic takes it\n"
		"  drop       do without it; events that wait behind it go out\n"
		"  --force    retry: although something newer of its key was delivered;\n"
		"             drop: of a row, whose stand-in then leads nowhere\n"
		"  --view     what a view could not apply, instead: retry applies it and what waits "
		"behind it,\n"
		"             drop does without it; --all: of every record\n"
		"  --version  of that version instead of the live one\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
