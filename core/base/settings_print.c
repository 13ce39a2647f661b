/* settings_print.c - the table as text: the effective configuration with where each value came
 * from (secrets hidden), and the documented sample that conf/millrace.conf is made of. Both are
 * INI files that the reader reads back. */
#include "core/base/mem.h"
#include "core/base/settings_priv.h"

#include <stdlib.h>

static void print_section(FILE *out, size_t i)
{
	if (i == 0 || strcmp(setting_keys[i].section, setting_keys[i - 1].section) != 0)
		fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", setting_keys[i].section);
}

static void print_scaled(FILE *out, int64_t v, const int64_t *factors, const char *const *names,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (v != 0 && v % factors[i] == 0) {
			fprintf(out, "%lld%s", (long long)(v / factors[i]), names[i]);
			return;
		}
	fprintf(out, "%lld%s", (long long)v, names[count - 1]);
}

static void print_value(const struct setting_key *key, const void *field, FILE *out)
{
	static const int64_t byte_factors[] = { 1024 * 1024 * 1024, 1024 * 1024, 1024, 1 };
	static const char *const byte_names[] = { "GB", "MB", "k", "" };
	static const int64_t time_factors[] = { 3600 * 1000, 60 * 1000, 1000, 1 };
	static const char *const time_names[] = { "h", "m", "s", "ms" };
	const struct text_list *list = field;

	switch (key->type) {
	case SETTING_TEXT:
	case SETTING_PATH:
		fputs(*(char *const *)field, out);
		break;
	case SETTING_SECRET:
		fputs(**(char *const *)field != '\0' ? "(hidden)" : "", out);
		break;
	case SETTING_LIST:
		for (size_t i = 0; i < list->count; i++)
			fprintf(out, "%s%s", i > 0 ? ", " : "", list->items[i]);
		break;
	case SETTING_INT:
		fprintf(out, "%lld", (long long)*(const int64_t *)field);
		break;
	case SETTING_BYTES:
		print_scaled(out, *(const int64_t *)field, byte_factors, byte_names, 4);
		break;
	case SETTING_MS:
		print_scaled(out, *(const int64_t *)field, time_factors, time_names, 4);
		break;
	case SETTING_BOOL:
		fputs(*(const bool *)field ? "on" : "off", out);
		break;
	}
}

static bool is_secret_property(const char *key)
{
	return strstr(key, "password") != NULL || strstr(key, "secret") != NULL ||
	       strstr(key, "oauthbearer.config") != NULL || strstr(key, "key.pem") != NULL;
}

static void print_properties(const struct settings *s, FILE *out)
{
	for (size_t i = 0; i < s->kafka_property_count; i++)
		fprintf(out, "kafka.%s = %s\n", s->kafka_properties[i].key,
			is_secret_property(s->kafka_properties[i].key)
				? "(hidden)"
				: s->kafka_properties[i].value);
}

void settings_print(const struct settings *s, FILE *out)
{
	fprintf(out, "# Effective configuration%s%s\n", s->file != NULL ? " of " : "",
		s->file != NULL ? s->file : "");
	for (size_t i = 0; i < setting_key_count; i++) {
		print_section(out, i);
		fprintf(out, "# %s; from: %s\n%s = ", setting_keys[i].help, s->origins[i],
			setting_keys[i].key);
		print_value(&setting_keys[i], (const char *)s + setting_keys[i].offset, out);
		fputc('\n', out);
		if (strcmp(setting_keys[i].section, "kafka") == 0 &&
		    (i + 1 == setting_key_count ||
		     strcmp(setting_keys[i + 1].section, "kafka") != 0))
			print_properties(s, out);
	}
}

static void print_range(const struct setting_key *key, FILE *out)
{
	if (key->type != SETTING_INT && key->type != SETTING_BYTES && key->type != SETTING_MS)
		return;
	fputs(" (", out);
	print_value(key, &key->min, out);
	fputs(" .. ", out);
	print_value(key, &key->max, out);
	fputs(")", out);
}

void settings_print_sample(FILE *out)
{
	fputs("# millrace.conf - every key with its default. Made by `millrace config --sample`.\n"
	      "# Stronger than this file: the environment (MILLRACE_SECTION_KEY), then the command line (--section.key=value).\n"
	      "# Paths are relative to this file. Sizes: 512k, 8MB, 1GB. Times: 250ms, 30s, 5m, 1h. Lists: comma-separated.\n"
	      "# In paths of secrets ${NAME} stands for an environment variable, such as ${CREDENTIALS_DIRECTORY} of systemd.\n"
	      "# A comment begins with # at the start of a line, or with ; behind a blank.\n\n",
	      out);
	for (size_t i = 0; i < setting_key_count; i++) {
		const struct setting_key *key = &setting_keys[i];
		bool required = strcmp(key->key, "name") == 0 &&
				strcmp(key->section, "millrace") == 0;

		print_section(out, i);
		fprintf(out, "# %s", key->help);
		print_range(key, out);
		fprintf(out, "\n%s%s =%s%s\n", required ? "" : "#", key->key,
			*key->def != '\0' || required ? " " : "",
			required ? "chapstick" : key->def);
		if (strcmp(key->section, "kafka") == 0 && strcmp(key->key, "timeout") == 0)
			fputs("# any property of librdkafka, as it is called there\n"
			      "#kafka.security.protocol = ssl\n",
			      out);
	}
}
