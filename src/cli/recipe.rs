//! How pictures were made, stored in their PNG files: a line that image tools read, and JSON with the page's names.

use serde_json::{Map, Value, json};
use unnoise::config::scheduler::SchedulerKind;
use unnoise::diffusion::PreviousTimestep;
use unnoise::generate::Request;

/// Everything that determines the pictures.
pub struct Recipe<'a> {
    pub model: String,
    pub kind: SchedulerKind,
    pub request: &'a Request,
    /// `[height, width]`.
    pub size: [usize; 2],
    /// Keys of the scheduler's config that were set by flags.
    pub overrides: Map<String, Value>,
    /// Name of the file with the noise, if there is one.
    pub noise: Option<String>,
    /// Name of the file with the class vectors, if there is one.
    pub class_vectors: Option<String>,
}

impl Recipe<'_> {
    /// See [`sampler_name`].
    pub fn sampler(&self) -> &'static str {
        sampler_name(self.kind)
    }

    /// `Steps: 50, Sampler: DDIM, Seed: 42, Size: 32x32, Model: …`, for all pictures or for one.
    pub fn parameters(&self, image: Option<usize>) -> String {
        let (request, [height, width]) = (self.request, self.size);
        let mut text = format!("Steps: {}, Sampler: {}", request.steps, self.sampler());
        if self.kind == SchedulerKind::Ddim {
            text += &format!(", Eta: {}", request.eta);
        }
        text += &format!(", Seed: {}", request.seed);
        if let Some(image) = image {
            text += &format!(", Image: {}", image + 1);
        }
        if let Some(class) = request.class {
            text += &format!(", Class: {class}");
        }
        // Programs that read this line split it at commas.
        text + &format!(", Size: {width}x{height}, Model: {}", self.model.replace(',', " "))
    }

    /// The whole recipe.
    pub fn json(&self, image: Option<usize>) -> String {
        let (request, [height, width]) = (self.request, self.size);
        let mut all = Map::new();
        let mut put = |key: &str, value: Value| {
            all.insert(key.to_owned(), value);
        };
        put("unnoise", json!(1));
        put("model", json!(self.model));
        put("sampler", json!(self.sampler().to_lowercase()));
        put("steps", json!(request.steps));
        if self.kind == SchedulerKind::Ddim {
            put("eta", json!(request.eta));
        }
        put("seed", json!(request.seed));
        put("count", json!(request.count));
        if let Some(image) = image {
            put("image", json!(image + 1));
        }
        if let Some(class) = request.class {
            put("class", json!(class));
        }
        put("width", json!(width));
        put("height", json!(height));
        if request.use_clipped_model_output {
            put("use_clipped_model_output", json!(true));
        }
        if request.previous_timestep == PreviousTimestep::NextInList {
            put("previous_timestep", json!("next-in-list"));
        }
        if !self.overrides.is_empty() {
            put("scheduler", Value::Object(self.overrides.clone()));
        }
        if let Some(noise) = &self.noise {
            put("noise", json!(noise));
        }
        if let Some(vectors) = &self.class_vectors {
            put("class_vectors", json!(vectors));
        }
        ascii(&Value::Object(all).to_string())
    }
}

/// JSON in ASCII: a PNG's plain text chunk, which the page reads, holds Latin-1 only.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"))
            }
        }
    }
    out
}

/// `DDIM` or `DDPM`.
pub fn sampler_name(kind: SchedulerKind) -> &'static str {
    match kind {
        SchedulerKind::Ddim => "DDIM",
        SchedulerKind::Ddpm => "DDPM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_all_that_matters() {
        let request = Request { class: Some(3), ..Request::default() };
        let mut recipe = Recipe {
            model: "cats, and dogs".to_owned(),
            kind: SchedulerKind::Ddim,
            request: &request,
            size: [8, 12],
            overrides: Map::from_iter([("clip_sample".to_owned(), json!(false))]),
            noise: None,
            class_vectors: None,
        };
        assert_eq!(
            recipe.parameters(None),
            "Steps: 50, Sampler: DDIM, Eta: 0, Seed: 42, Class: 3, Size: 12x8, Model: cats  and dogs"
        );
        assert_eq!(
            recipe.json(Some(4)),
            r#"{"unnoise":1,"model":"cats, and dogs","sampler":"ddim","steps":50,"eta":0.0,"seed":42,"count":16,"image":5,"class":3,"width":12,"height":8,"scheduler":{"clip_sample":false}}"#
        );
        recipe.model = "猫 🐈".to_owned();
        assert!(
            recipe.json(None).contains(r#""model":"\u732b \ud83d\udc08""#),
            "{}",
            recipe.json(None)
        );
        recipe.kind = SchedulerKind::Ddpm;
        assert!(!recipe.parameters(None).contains("Eta"));
        assert!(recipe.parameters(Some(0)).contains("Image: 1"));
    }
}
