/* target_dynamo.c - item templates as statements: the whole file is one, so its operations share
 * their parameters. */
#include "projections/apply/target_dynamo.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct target_statement {
	struct target_dynamo *target;
	struct dynamo_template *template;
};

static int target_dynamo_prepare(struct target *t, const char *origin, const char *script,
				 const char *text, const char **ret_tail,
				 struct target_statement **ret_statement, struct err *e)
{
	struct target_dynamo *target = (struct target_dynamo *)t;
	struct dynamo_template *template;

	*ret_statement = NULL;
	*ret_tail = text + strlen(text);
	if (text != script)
		return 0;
	if (dynamo_template_read(origin, text, target->tables, &template, e) < 0)
		return -1;
	if (template->count == 0) {
		dynamo_template_free(template);
		return 0;
	}
	*ret_statement = xcalloc(1, sizeof(**ret_statement));
	(*ret_statement)->target = target;
	(*ret_statement)->template = template;
	return 0;
}

static int target_dynamo_parameter_count(const struct target_statement *s)
{
	return (int)s->template->parameter_count;
}

static const char *target_dynamo_parameter_name(const struct target_statement *s, int i)
{
	return s->template->parameters[i - 1];
}

static int target_dynamo_execute(struct target_statement *s, const struct value *const *values,
				 struct err *e)
{
	struct target_dynamo *t = s->target;

	return t->execute != NULL ? t->execute(t->context, s->template, values, e) : 0;
}

static int target_dynamo_flush(struct target *t, struct err *e)
{
	struct target_dynamo *target = (struct target_dynamo *)t;

	return target->flush != NULL ? target->flush(target->context, e) : 0;
}

static void target_dynamo_finalize(struct target_statement *s)
{
	if (s == NULL)
		return;
	dynamo_template_free(s->template);
	free(s);
}

static const struct target_ops target_dynamo_ops = {
	.prepare = target_dynamo_prepare,
	.parameter_count = target_dynamo_parameter_count,
	.parameter_name = target_dynamo_parameter_name,
	.execute = target_dynamo_execute,
	.flush = target_dynamo_flush,
	.finalize = target_dynamo_finalize,
};

void target_dynamo_init(struct target_dynamo *t, const struct dynamo_tables *tables)
{
	*t = (struct target_dynamo){ .target = { .ops = &target_dynamo_ops }, .tables = tables };
}
