//! Data forms (XEP-0004): submitted ones read leniently, our own written.

use minidom::Element;

use crate::ns;
use crate::stanza::element::{Build, el};

/// What became of a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormType {
    /// To fill in.
    Form,
    /// Filled in.
    Submit,
    /// Put away.
    Cancel,
    /// An answer.
    Result,
}

impl FormType {
    fn as_str(self) -> &'static str {
        match self {
            FormType::Form => "form",
            FormType::Submit => "submit",
            FormType::Cancel => "cancel",
            FormType::Result => "result",
        }
    }

    fn parse(word: Option<&str>) -> Option<FormType> {
        Some(match word {
            Some("form") => FormType::Form,
            Some("submit") | None => FormType::Submit,
            Some("cancel") => FormType::Cancel,
            Some("result") => FormType::Result,
            Some(_) => return None,
        })
    }
}

/// A form somebody sent: field names and values, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submitted {
    /// What became of it.
    pub type_: FormType,
    fields: Vec<(String, Vec<String>)>,
}

impl Submitted {
    /// Reads an `<x xmlns='jabber:x:data'/>`; `None` where it is none or of an unknown type.
    pub fn read(x: &Element) -> Option<Submitted> {
        if !x.is("x", ns::DATA) {
            return None;
        }
        let type_ = FormType::parse(x.attr("type"))?;
        let fields = x
            .children()
            .filter(|child| child.is("field", ns::DATA))
            .filter_map(|field| {
                let values = field.children().filter(|c| c.is("value", ns::DATA)).map(Element::text).collect();
                Some((field.attr("var")?.to_owned(), values))
            })
            .collect();
        Some(Submitted { type_, fields })
    }

    /// A form filled in with these fields.
    pub fn filled(fields: Vec<(String, Vec<String>)>) -> Submitted {
        Submitted { type_: FormType::Submit, fields }
    }

    /// The value of `FORM_TYPE`.
    pub fn form_type(&self) -> Option<&str> {
        self.first("FORM_TYPE")
    }

    /// All fields with their values, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.fields.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// All values of the field, if it is there at all.
    pub fn values(&self, var: &str) -> Option<&[String]> {
        self.fields.iter().find(|(name, _)| name == var).map(|(_, values)| values.as_slice())
    }

    /// The first value of the field.
    pub fn first(&self, var: &str) -> Option<&str> {
        self.values(var)?.first().map(String::as_str)
    }

    /// Fields beside `FORM_TYPE`.
    pub fn is_empty(&self) -> bool {
        self.fields.iter().all(|(name, _)| name == "FORM_TYPE")
    }
}

/// The boolean a value means (XEP-0004 §3.3).
pub fn boolean(value: &str) -> Option<bool> {
    match value.trim() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// A form of ours, written field by field.
#[derive(Clone, Debug)]
pub struct Form {
    x: Element,
}

impl Form {
    /// An empty form with its `FORM_TYPE`.
    pub fn new(type_: FormType, form_type: &str) -> Form {
        let x = el("x", ns::DATA).with_attr("type", type_.as_str());
        Form { x }.hidden("FORM_TYPE", form_type)
    }

    /// The same with a title, which comes before the fields (XEP-0004 §10).
    #[must_use]
    pub fn titled(mut self, title: &str) -> Form {
        let fields = self.x.take_nodes();
        self.x.append_child(el("title", ns::DATA).with_text(title));
        for field in fields {
            self.x.append_node(field);
        }
        self
    }

    /// The same with instructions, which come before the fields and after the title.
    #[must_use]
    pub fn instructed(mut self, instructions: &str) -> Form {
        let nodes = self.x.take_nodes();
        let (title, fields): (Vec<_>, Vec<_>) =
            nodes.into_iter().partition(|node| node.as_element().is_some_and(|child| child.is("title", ns::DATA)));
        for node in title {
            self.x.append_node(node);
        }
        self.x.append_child(el("instructions", ns::DATA).with_text(instructions));
        for node in fields {
            self.x.append_node(node);
        }
        self
    }

    /// The same with the head of a table: name, type and label of each column (XEP-0004 §3.4).
    #[must_use]
    pub fn reported(mut self, columns: &[(&str, &str, &str)]) -> Form {
        let mut reported = el("reported", ns::DATA);
        for (var, type_, label) in columns {
            let field = el("field", ns::DATA).with_attr("var", *var).with_attr("type", *type_);
            reported.append_child(field.with_attr("label", *label));
        }
        self.x.append_child(reported);
        self
    }

    /// The same with a row of the table: the columns it has a value for.
    #[must_use]
    pub fn row(mut self, cells: &[(&str, &str)]) -> Form {
        let mut item = el("item", ns::DATA);
        for (var, value) in cells {
            item.append_child(el("field", ns::DATA).with_attr("var", *var).with_text_child("value", value));
        }
        self.x.append_child(item);
        self
    }

    /// The same with a field that is asked for, with what there is to choose from and what it holds.
    #[must_use]
    pub fn asking(
        mut self,
        type_: &'static str,
        var: &str,
        label: &str,
        options: &[(&str, &str)],
        values: &[&str],
        is_required: bool,
    ) -> Form {
        let mut field = el("field", ns::DATA).with_attr("var", var).with_attr("type", type_).with_attr("label", label);
        if is_required {
            field.append_child(el("required", ns::DATA));
        }
        for value in values {
            field.append_child(el("value", ns::DATA).with_text(value));
        }
        for (value, label) in options {
            field.append_child(el("option", ns::DATA).with_attr("label", *label).with_text_child("value", value));
        }
        self.x.append_child(field);
        self
    }

    /// The same with a field that is not shown.
    #[must_use]
    pub fn hidden(self, var: &str, value: &str) -> Form {
        self.push("hidden", var, None, &[], &[value])
    }

    /// The same with a field; `values` are what it holds.
    #[must_use]
    pub fn field(self, type_: &'static str, var: &str, label: &str, values: &[&str]) -> Form {
        self.push(type_, var, Some(label), &[], values)
    }

    /// The same with a field that has to be filled in.
    #[must_use]
    pub fn required(mut self, type_: &'static str, var: &str, label: &str) -> Form {
        let field = el("field", ns::DATA).with_attr("var", var).with_attr("type", type_).with_attr("label", label);
        self.x.append_child(field.with_child(el("required", ns::DATA)));
        self
    }

    /// The same with a boolean field.
    #[must_use]
    pub fn boolean(self, var: &str, label: &str, value: bool) -> Form {
        self.push("boolean", var, Some(label), &[], &[if value { "1" } else { "0" }])
    }

    /// The same with a list to choose from, each option with its label.
    #[must_use]
    pub fn list(self, type_: &'static str, var: &str, label: &str, options: &[(&str, &str)], values: &[&str]) -> Form {
        self.push(type_, var, Some(label), options, values)
    }

    /// The same with a list of numbers, or `none`, that is a suggestion: another value is taken too (XEP-0122 §3.2).
    #[must_use]
    pub fn number_or_none(self, var: &str, label: &str, choices: &[String], values: &[&str]) -> Form {
        let options: Vec<(&str, &str)> = choices.iter().map(|choice| (choice.as_str(), choice.as_str())).collect();
        self.push("list-single", var, Some(label), &options, values).open()
    }

    /// The same with a list of values that are anybody's to make up (XEP-0122 §3.2).
    #[must_use]
    pub fn open_list(self, var: &str, label: &str) -> Form {
        self.push("list-multi", var, Some(label), &[], &[]).open()
    }

    /// The same with a field for a whole number that is not below zero (XEP-0122 §3.3).
    #[must_use]
    pub fn whole_number(mut self, var: &str, label: &str, values: &[&str]) -> Form {
        let range = el("range", ns::VALIDATE).with_attr("min", "0");
        let validate = el("validate", ns::VALIDATE).with_attr("datatype", "xs:integer").with_child(range);
        let field = el("field", ns::DATA)
            .with_attr("var", var)
            .with_attr("type", "text-single")
            .with_attr("label", label)
            .with_child(validate);
        self.x.append_child(values.iter().fold(field, |field, value| field.with_text_child("value", value)));
        self
    }

    fn push(
        mut self,
        type_: &'static str,
        var: &str,
        label: Option<&str>,
        options: &[(&str, &str)],
        values: &[&str],
    ) -> Form {
        let mut field = el("field", ns::DATA).with_attr("var", var).with_attr("type", type_);
        if let Some(label) = label {
            field = field.with_attr("label", label);
        }
        for value in values {
            field.append_child(el("value", ns::DATA).with_text(value));
        }
        for (value, label) in options {
            field.append_child(el("option", ns::DATA).with_attr("label", *label).with_text_child("value", value));
        }
        self.x.append_child(field);
        self
    }

    /// The last field, open to values that are not among its options.
    fn open(mut self) -> Form {
        let validate = el("validate", ns::VALIDATE).with_attr("datatype", "xs:string");
        if let Some(field) = self.x.children_mut().last() {
            field.append_child(validate.with_child(el("open", ns::VALIDATE)));
        }
        self
    }

    /// The element it is.
    pub fn into_element(self) -> Element {
        self.x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::element::parse;

    #[test]
    fn a_submitted_form_is_read_leniently() {
        let x = parse("<x xmlns='jabber:x:data'><field var='a'><value>1</value><value>2</value></field><field/></x>")
            .expect("an element");
        let form = Submitted::read(&x).expect("a form");
        assert_eq!(form.type_, FormType::Submit);
        assert_eq!(form.values("a").map(<[String]>::len), Some(2));
        assert_eq!(form.values("b"), None);
    }

    #[test]
    fn a_written_form_reads_back() {
        let x = Form::new(FormType::Form, "urn:f").boolean("b", "B", true).into_element();
        let form = Submitted::read(&x).expect("a form");
        assert_eq!((form.form_type(), form.first("b").and_then(boolean)), (Some("urn:f"), Some(true)));
    }
}
