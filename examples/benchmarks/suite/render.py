def render_page(results, trials):
    return ""
