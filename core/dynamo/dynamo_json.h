/* dynamo_json.h - between the files of this folder that read a view's JSON. */
#ifndef CORE_DYNAMO_DYNAMO_JSON_H
#define CORE_DYNAMO_DYNAMO_JSON_H

#include "core/base/err.h"

#include <jansson.h>

/* The whole text; ERR_CONFIG with its line. Free with json_decref(). */
int dynamo_json_read(const char *file, const char *text, json_t **ret_root, struct err *e);

#endif
