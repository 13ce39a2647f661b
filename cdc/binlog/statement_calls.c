/* statement_calls.c - may DML that is written as text call a stored function?
 *
 * A stored function may change any table, and with binlog_format=STATEMENT nothing but the call is
 * in the binlog. Names right before a bracket are looked up among what can stand there otherwise:
 * built-in functions, types and keywords. An unknown one counts as a stored function; a name of a
 * table or alias before a column list is told by what stands before it. */
#include "cdc/binlog/statement_priv.h"

static const char *const known[] = {
	/* keywords */
	"VALUES", "VALUE", "IN", "AND", "OR", "NOT", "XOR", "ON", "USING", "AS", "WHEN", "THEN",
	"ELSE", "CASE", "WHERE", "HAVING", "SELECT", "SET", "BY", "ALL", "ANY", "SOME", "EXISTS",
	"OVER", "INDEX", "KEY", "BETWEEN", "LIKE", "DIV", "MOD", "INTERVAL", "UPDATE", "DISTINCT",
	"BINARY", "FROM", "JOIN", "PARTITION", "UNION", "EXCEPT", "INTERSECT", "RETURNING", "IS",
	"LIMIT", "REGEXP", "RLIKE", "END", "FIELDS", "COLUMNS", "LINES",
	/* types, inside CAST and CONVERT */
	"CHAR", "DECIMAL", "VARCHAR", "VARBINARY", "DATETIME", "TIME", "FLOAT", "DOUBLE", "NCHAR",
	/* functions */
	"COUNT", "SUM", "MIN", "MAX", "AVG", "STD", "STDDEV", "VARIANCE", "BIT_XOR", "BIT_AND",
	"BIT_OR", "GROUP_CONCAT", "JSON_ARRAYAGG", "JSON_OBJECTAGG", "ROW_NUMBER", "RANK",
	"DENSE_RANK", "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "COALESCE", "IFNULL", "NULLIF",
	"IF", "ISNULL", "GREATEST", "LEAST", "CAST", "CONVERT", "CONCAT", "CONCAT_WS", "LOWER",
	"UPPER", "LCASE", "UCASE", "TRIM", "LTRIM", "RTRIM", "LPAD", "RPAD", "LEFT", "RIGHT",
	"SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "MID", "LENGTH", "CHAR_LENGTH", "OCTET_LENGTH",
	"CHARACTER_LENGTH", "LOCATE", "POSITION", "INSTR", "REPLACE", "REPEAT", "REVERSE", "SPACE",
	"FORMAT", "HEX", "UNHEX", "CONV", "BIN", "OCT", "ASCII", "ORD", "FIELD", "ELT",
	"FIND_IN_SET", "MAKE_SET", "EXPORT_SET", "QUOTE", "SOUNDEX", "STRCMP", "TO_BASE64",
	"FROM_BASE64", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REGEXP_INSTR", "CRC32", "CRC32C", "MD5",
	"SHA", "SHA1", "SHA2", "PASSWORD", "AES_ENCRYPT", "AES_DECRYPT", "COMPRESS", "UNCOMPRESS",
	"UUID", "UUID_SHORT", "SYS_GUID", "ABS", "CEIL", "CEILING", "FLOOR", "ROUND", "TRUNCATE",
	"SIGN", "POW", "POWER", "SQRT", "EXP", "LN", "LOG", "LOG2", "LOG10", "SIN", "COS", "TAN",
	"ASIN", "ACOS", "ATAN", "ATAN2", "COT", "PI", "RAND", "DEGREES", "RADIANS", "NOW",
	"SYSDATE", "CURDATE", "CURTIME", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
	"LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "DATE", "TIMESTAMP",
	"YEAR", "MONTH", "DAY", "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "DAYNAME", "MONTHNAME",
	"WEEK", "WEEKDAY", "WEEKOFYEAR", "YEARWEEK", "QUARTER", "HOUR", "MINUTE", "SECOND",
	"MICROSECOND", "DATE_ADD", "DATE_SUB", "ADDDATE", "SUBDATE", "ADDTIME", "SUBTIME",
	"DATEDIFF", "TIMEDIFF", "TIMESTAMPADD", "TIMESTAMPDIFF", "DATE_FORMAT", "TIME_FORMAT",
	"STR_TO_DATE", "FROM_UNIXTIME", "UNIX_TIMESTAMP", "FROM_DAYS", "TO_DAYS", "TO_SECONDS",
	"SEC_TO_TIME", "TIME_TO_SEC", "MAKEDATE", "MAKETIME", "LAST_DAY", "EXTRACT", "CONVERT_TZ",
	"GET_FORMAT", "JSON_EXTRACT", "JSON_VALUE", "JSON_QUERY", "JSON_UNQUOTE", "JSON_QUOTE",
	"JSON_OBJECT", "JSON_ARRAY", "JSON_SET", "JSON_INSERT", "JSON_REPLACE", "JSON_REMOVE",
	"JSON_MERGE_PATCH", "JSON_CONTAINS", "JSON_LENGTH", "JSON_KEYS", "JSON_VALID", "JSON_TYPE",
	"INET_ATON", "INET_NTOA", "INET6_ATON", "INET6_NTOA", "DATABASE", "SCHEMA", "USER",
	"CURRENT_USER", "SESSION_USER", "CONNECTION_ID", "VERSION", "LAST_INSERT_ID", "ROW_COUNT",
	"FOUND_ROWS", "CHARSET", "COLLATION", "DEFAULT", "MATCH", "AGAINST", "NAME_CONST",
	"BIT_COUNT", "WEIGHT_STRING", "CHR", "NVL", "NVL2", "DECODE", "TO_CHAR", "SLEEP", "NEXTVAL",
	"LASTVAL", "SETVAL", NULL
};

static bool is_known(struct token name)
{
	for (size_t i = 0; known[i] != NULL; i++)
		if (token_is(name, known[i]))
			return true;
	return false;
}

/* A column list or index hint stands behind a name that one of these words announces. */
static bool announces_name(struct token t)
{
	return token_is(t, "INTO") || token_is(t, "TABLE") || token_is(t, "INSERT") ||
	       token_is(t, "REPLACE") || token_is(t, "IGNORE") || token_is(t, "AS") ||
	       token_is(t, "WITH") || token_is(t, "RECURSIVE") || token_is(t, "DELAYED");
}

bool statement_calls(struct tokens t)
{
	struct token before = { .kind = TOKEN_END }, name = { .kind = TOKEN_END }, token;

	token = token_peek(&t);
	if (token_is(token, "SELECT") || token_is(token, "DO") || token_is(token, "CALL") ||
	    token_is(token, "WITH") || token_is(token, "VALUES"))
		return true; /* it is in the binlog because of what it calls */
	while ((token = token_next(&t)).kind != TOKEN_END) {
		bool qualified = token_is_mark(token, '.') &&
				 (name.kind == TOKEN_WORD || name.kind == TOKEN_QUOTED);

		if (qualified) { /* db.name: judged by what stands before db */
			struct token second = token_next(&t);

			if (token_is_mark(token_peek(&t), '(') && !announces_name(before))
				return true;
			name = second;
			continue;
		}
		if (token_is_mark(token, '(') &&
		    (name.kind == TOKEN_WORD || name.kind == TOKEN_QUOTED) && !is_known(name) &&
		    !announces_name(before))
			return true;
		before = name;
		name = token;
	}
	return false;
}
