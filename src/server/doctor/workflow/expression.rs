//! GitHub's expressions, as far as names have to be found in them.

use std::collections::BTreeSet;

/// The insides of every `${{ … }}`.
pub(super) fn all(text: &str) -> Vec<&str> {
    let parts = text.split("${{").skip(1);
    parts
        .filter_map(|part| part.split_once("}}").map(|(inside, _)| inside))
        .collect()
}

/// Whether an expression reads this input of the workflow, as `inputs.NAME`, `github.event.inputs.NAME` or with brackets.
pub(super) fn has_input(expression: &str, name: &str) -> bool {
    names(expression, "inputs").contains(name)
}

/// Whether an expression calls `always()`, and not to say the opposite.
pub(super) fn has_always(expression: &str) -> bool {
    let packed = packed(expression);
    packed.contains("always()") && !packed.contains("!always()")
}

/// The names that an expression reads from a context: `X` of `secrets.X`, or of `secrets['X']`.
pub(super) fn names(expression: &str, context: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let packed: String = expression.split_whitespace().collect();
    // GitHub's contexts know no case, and ASCII in lower case has the same length.
    let lower = packed.to_ascii_lowercase();
    let mut names = BTreeSet::new();
    for (at, _) in lower.match_indices(context) {
        if lower[..at].ends_with(is_name) {
            continue;
        }
        let rest = &packed[at + context.len()..];
        let rest = rest.strip_prefix('.').or_else(|| rest.strip_prefix("['"));
        let name: String = rest.unwrap_or_default().chars().take_while(|c| is_name(*c)).collect();
        if !name.is_empty() {
            names.insert(name);
        }
    }
    names
}

fn packed(expression: &str) -> String {
    expression.split_whitespace().collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{all, has_always, has_input, names};

    #[test]
    fn names_are_found_however_they_are_written() {
        for text in [
            "inputs.console_deploy_id",
            "github.event.inputs.console_deploy_id",
            "inputs['console_deploy_id'] || 'none'",
            "format(' ({0})', inputs . console_deploy_id)",
        ] {
            assert!(has_input(text, "console_deploy_id"), "{text}");
        }
        for text in [
            "inputs.console_deploy_id_2",
            "inputs.console",
            "my_inputs.console_deploy_id",
            "inputs",
        ] {
            assert!(!has_input(text, "console_deploy_id"), "{text}");
        }
        assert_eq!(
            names("secrets.A || secrets['B']", "secrets")
                .into_iter()
                .collect::<String>(),
            "AB"
        );
    }

    #[test]
    fn always_is_told_from_its_opposite() {
        assert!(has_always("always()") && has_always("${{ Always( ) && inputs.x }}"));
        assert!(!has_always("!always()") && !has_always("!cancelled()"));
    }

    #[test]
    fn an_expression_that_does_not_end_is_none() {
        assert_eq!(all("a ${{ b }} c ${{ d }}"), [" b ", " d "]);
        assert!(all("a ${{ b").is_empty());
    }
}
