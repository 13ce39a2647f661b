/* verb.c - what verbs share: their options, and how they say what went wrong. */
#include "cli/verb.h"

#include "core/base/term.h"

#include <stdarg.h>

int verb_usage_error(const struct verb *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "millrace %s: ", verb->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nHINT: `millrace help %s` shows how it is used.\n", verb->name);
	return EXIT_USAGE;
}

int verb_fail(const struct err *e)
{
	fprintf(stderr, "%smillrace:%s %s\n", term(stderr, TERM_RED), term(stderr, TERM_PLAIN),
		e->msg);
	return err_exit_code(e);
}

static int unknown_option(const struct verb *verb, const char *argument,
			  const struct verb_option *options, size_t count)
{
	const char *names[32], *near;
	size_t n = 0;

	for (; n < count && n < 32; n++)
		names[n] = options[n].name;
	near = settings_nearest(argument, names, n);
	(void)verb_usage_error(verb, "%s is not an option%s%s%s", argument,
			       near != NULL ? "; did you mean " : "", near != NULL ? near : "",
			       near != NULL ? "?" : ""); /* -1 tells the caller */
	return -1;
}

/* The option in argv[*at], its value taken too. */
static int take_option(const struct verb *verb, int argc, char **argv, int *at,
		       const struct verb_option *options, size_t count)
{
	const char *argument = argv[*at], *equals = strchr(argument, '=');
	size_t size = equals != NULL ? (size_t)(equals - argument) : strlen(argument), i = 0;

	while (i < count &&
	       !(strlen(options[i].name) == size && memcmp(options[i].name, argument, size) == 0))
		i++;
	if (i == count)
		return unknown_option(verb, argument, options, count);
	if (options[i].flag != NULL && equals == NULL) {
		*options[i].flag = true;
		return 0;
	}
	if (options[i].text == NULL)
		return (void)verb_usage_error(verb, "%s takes no value", options[i].name), -1;
	if (equals == NULL && *at + 1 >= argc)
		return (void)verb_usage_error(verb, "%s needs a value", options[i].name), -1;
	*options[i].text = equals != NULL ? equals + 1 : argv[++*at];
	return 0;
}

int verb_options(const struct verb *verb, int argc, char **argv, const struct verb_option *options,
		 size_t option_count)
{
	bool plain = false;
	int rest = 0;

	for (int i = 0; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0)
			plain = true;
		else if (plain || argv[i][0] != '-' || argv[i][1] == '\0')
			argv[rest++] = argv[i];
		else if (take_option(verb, argc, argv, &i, options, option_count) < 0)
			return -1;
	}
	return rest;
}
